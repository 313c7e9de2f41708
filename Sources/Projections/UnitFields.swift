import Domain
import JSON

/// What the projections keep of a `VariantSelected`.
struct SelectionFields {
    var function = ""
    var experiment = ""
    var run = ""
    var variant = ""
    var definition: Int32 = 1
    var isNullishBucket = false

    init(_ data: UnsafeRawBufferPointer) throws {
        var scanner = JSONScanner(data)
        var isMalformed = false
        try scanner.object { scanner, key throws(JSONError) in
            switch key {
            case "function": function = try scanner.string()
            case "experiment": experiment = try scanner.string()
            case "run": run = try scanner.string()
            case "variant": variant = try scanner.string()
            case "definition":
                let number = try scanner.number().integer.flatMap { Int32(exactly: $0) }
                isMalformed = isMalformed || number == nil
                definition = number ?? 1
            case "nullishBucket": isNullishBucket = try scanner.bool()
            default: try scanner.skip()
            }
        }
        guard !isMalformed, !function.isEmpty, !experiment.isEmpty, !run.isEmpty, !variant.isEmpty
        else { throw IncompleteUnitEventError() }
    }
}

/// What the projections keep of a `ScoreRecorded` or a `ScoreRetracted`.
struct ScoreFields {
    var function = ""
    var experiment = ""
    var unit = ""
    var name = ""
    var variant: String?
    var cohort: Int32?
    var value = 0.0
    var isBoolean = false
    /// Microseconds since the Unix epoch.
    var occurredAt: Int64 = 0
    /// The position of the score that is taken back.
    var retracts: Int64?

    init(_ data: UnsafeRawBufferPointer) throws {
        var scanner = JSONScanner(data)
        var value: ScoreValue?
        var occurredAt: Timestamp?
        try scanner.object { scanner, key throws(JSONError) in
            switch key {
            case "function": function = try scanner.string()
            case "experiment": experiment = try scanner.string()
            case "subject", "run": unit = try scanner.string()
            case "name": name = try scanner.string()
            case "variant": variant = try scanner.string()
            case "cohort", "definition":
                cohort = try scanner.number().integer.flatMap { Int32(exactly: $0) }
            case "value": value = ScoreValue(try scanner.value())
            case "occurredAt": occurredAt = Timestamp(try scanner.string())
            case "score": retracts = try scanner.number().integer
            default: try scanner.skip()
            }
        }
        guard let value, let occurredAt, !experiment.isEmpty, !unit.isEmpty, !name.isEmpty,
            (variant == nil) == (cohort == nil)
        else { throw IncompleteUnitEventError() }
        self.value = value.number
        isBoolean = value.isBoolean
        self.occurredAt = occurredAt.microseconds
    }

    var series: ScoreSeries {
        ScoreSeries(function: function, experiment: experiment, name: name)
    }
}

/// An event of a unit without one of the members that it must have.
struct IncompleteUnitEventError: Error, CustomStringConvertible {
    var description: String { "a member is missing or malformed" }
}
