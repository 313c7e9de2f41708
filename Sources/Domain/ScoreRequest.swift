import JSON

/// A score that is to be recorded.
package struct ScoreRequest: Sendable, Equatable {
    package var unit: UnitKey
    package var name: String
    package var value: ScoreValue
    /// Nil means now.
    package var occurredAt: Timestamp?
    /// The variant that the caller takes the unit's to be.
    package var variant: String?
    package var stepID: String?
    /// A JSON object, as text.
    package var metadata: [UInt8]?
    /// Whether a score of a unit without a variant is kept, unattributed, rather than refused.
    package var quarantinesUnknown = false
    /// The client's own ID for the event, which makes it idempotent.
    package var id: EventID?
    /// Where the unit is a sealed subject, which its token names.
    package var seal: Seal?

    package init(unit: UnitKey, name: String, value: ScoreValue) {
        self.unit = unit
        self.name = name
        self.value = value
    }
}

/// A score that is to be taken back.
package struct RetractionRequest: Sendable, Equatable {
    /// Of the score.
    package var position: Int64
    package var reason: String?

    package init(position: Int64, reason: String? = nil) {
        self.position = position
        self.reason = reason
    }
}

/// What is wrong with a score's name; nil where nothing is.
package func scoreNameProblem(_ name: String) -> String? {
    guard (1...Limits.scoreNameBytesMax).contains(name.utf8.count) else {
        return "A score's name has 1 to \(Limits.scoreNameBytesMax) bytes of UTF-8."
    }
    // Nearly all names are plain ASCII words.
    if name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "'") }) { return nil }
    for scalar in name.unicodeScalars {
        if scalar.properties.generalCategory == .control {
            return "A score's name has no control characters."
        }
        if scalar == "'" { return "A score's name has no apostrophe (')." }
    }
    return name.unicodeScalars.allSatisfy(\.properties.isWhitespace)
        ? "A score's name is not blank." : nil
}

/// What a score's value may be, as an error message says it.
package let scoreValueRule = "give a finite number, true or false"

// MARK: Reading

extension ScoreRequest {
    private static let fields = [
        "experiment", "subject", "function", "run", "variant", "name", "value", "occurredAt",
        "stepId", "metadata",
    ]

    /// Reads one score of a request; nil where something is wrong, which the problems say.
    package init?(_ json: JSONValue, _ pointer: String, _ problems: Problems) {
        self.init(json, pointer, problems, allowing: ["id", "onUnknownUnit"])
        let reader = DocumentReader(json, pointer, problems)
        id = reader.eventID("id", of: "a score")
        switch reader.text("onUnknownUnit") {
        case nil, "refuse": break
        case "quarantine": quarantinesUnknown = true
        case let other?:
            reader.problem(
                "onUnknownUnit", "onUnknownUnit: use refuse or quarantine, not \(other).")
        }
    }

    /// Reads the data of a proposed `ScoreRecorded`.
    init?(recorded data: JSONValue, _ pointer: String, _ problems: Problems) {
        self.init(
            data, pointer, problems, allowing: ["cohort", "definition", "unattributed"])
        quarantinesUnknown = data["unattributed"] == true
    }

    private init?(
        _ json: JSONValue, _ pointer: String, _ problems: Problems, allowing others: [String]
    ) {
        let found = problems.list.count
        let reader = DocumentReader(json, pointer, problems)
        reader.allow(Self.fields + others)
        let unit = reader.scoredUnit()
        let name = reader.text("name", max: .max, required: true)
        if let name, let problem = scoreNameProblem(name) { reader.problem("name", problem) }
        let value = reader.scoreValue("value")
        let occurredAt = reader.time("occurredAt")
        let variant = reader.stepName("variant", required: false)
        let stepID = reader.text("stepId", max: Limits.nameBytesMax)
        let metadata = reader.metadata("metadata")
        guard problems.list.count == found, let unit, let name, let value else { return nil }
        self.init(unit: unit, name: name, value: value)
        self.occurredAt = occurredAt
        self.variant = variant
        self.stepID = stepID
        self.metadata = metadata
    }
}

extension RetractionRequest {
    /// Reads the data of a proposed `ScoreRetracted`.
    init?(retracted data: JSONValue, _ pointer: String, _ problems: Problems) {
        let reader = DocumentReader(data, pointer, problems)
        let position = reader.integer("score", required: true)
        let reason = reader.text("reason")
        guard problems.list.isEmpty, let position else { return nil }
        self.init(position: position, reason: reason)
    }
}

extension DocumentReader {
    /// A subject of a managed experiment, or a run of a step experiment.
    fileprivate func scoredUnit() -> UnitKey? {
        if has("run") || has("function") {
            if has("subject") {
                problem("subject", "Score a subject or, with function and run, a run; not both.")
            }
            let step = step("experiment")
            let run = unit("run")
            guard let step, let run else { return nil }
            return UnitKey(step: step, run: run)
        }
        let experiment = id("experiment", required: true)
        if !has("subject") {
            problem(
                "subject",
                "Say whose score it is: subject, or function and run for a step experiment.")
            return nil
        }
        let subject = unit("subject")
        guard let experiment, let subject else { return nil }
        return UnitKey(experiment: experiment, subject: subject)
    }

    package func scoreValue(_ key: String) -> ScoreValue? {
        read(key, required: true, scoreValueRule) { ScoreValue($0) }
    }

    fileprivate func metadata(_ key: String) -> [UInt8]? {
        let bytes = read(key, required: false, "give an object") { value in
            value.object.map { _ in value.encoded }
        }
        if let bytes, bytes.count > Limits.scoreMetadataBytesMax {
            problem(key, "\(key) is longer than \(Limits.scoreMetadataBytesMax) bytes of JSON.")
        }
        return bytes
    }
}

extension ScoreRequest {
    /// Reads a score that is written as usual, without making a tree of it; nil leaves it to the
    /// slower reader, which also says what is wrong.
    package init?(scanning scanner: inout JSONScanner) throws(JSONError) {
        var texts = (
            experiment: String?.none, subject: String?.none, function: String?.none,
            run: String?.none, variant: String?.none, name: String?.none
        )
        var value: ScoreValue?
        var occurredAt: Timestamp?
        var isUsual = true
        try scanner.object { scanner, key throws(JSONError) in
            func text(
                _ known: String?, _ scanner: inout JSONScanner
            ) throws(JSONError) -> String? {
                // A key that comes twice is no usual one.
                guard known == nil, scanner.peek() == UInt8(ascii: "\"") else {
                    isUsual = false
                    _ = try scanner.value()
                    return nil
                }
                let text = try scanner.string()
                if text.isEmpty || text.utf8.count > Limits.subjectBytesMax
                    || text.utf8.contains(0)
                {
                    isUsual = false
                }
                return text
            }
            switch key {
            case "experiment": texts.experiment = try text(texts.experiment, &scanner)
            case "subject": texts.subject = try text(texts.subject, &scanner)
            case "function": texts.function = try text(texts.function, &scanner)
            case "run": texts.run = try text(texts.run, &scanner)
            case "variant": texts.variant = try text(texts.variant, &scanner)
            case "name": texts.name = try text(texts.name, &scanner)
            case "value":
                if value != nil { isUsual = false }
                value = ScoreValue(try scanner.value())
            case "occurredAt":
                let known = occurredAt?.description
                occurredAt = try text(known, &scanner).flatMap { Timestamp($0) }
                if occurredAt == nil { isUsual = false }
            default:
                isUsual = false
                _ = try scanner.value()
            }
        }
        guard isUsual, let experiment = texts.experiment, let name = texts.name, let value,
            scoreNameProblem(name) == nil
        else { return nil }
        let unit: UnitKey
        switch (texts.subject, texts.function, texts.run) {
        case (let subject?, nil, nil):
            guard let id = ResourceID(experiment) else { return nil }
            unit = UnitKey(experiment: id, subject: subject)
        case (nil, let function?, let run?):
            guard isValidStepName(function), isValidStepName(experiment) else { return nil }
            unit = UnitKey(step: StepKey(function: function, name: experiment), run: run)
        default: return nil
        }
        if let variant = texts.variant, !isValidStepName(variant) { return nil }
        self.init(unit: unit, name: name, value: value)
        self.occurredAt = occurredAt
        variant = texts.variant
    }
}
