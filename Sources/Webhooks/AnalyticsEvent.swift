import Domain
import JSON

/// What analytics services know of experiments: that a unit met a variant, or that it scored.
struct AnalyticsEvent {
    enum Kind {
        case exposure
        case score(name: String, value: Double)
    }

    let kind: Kind
    let id: EventID
    /// Names one experiment of the ledger: the ID of a managed one, `FUNCTION/NAME` of a step
    /// experiment, with `%2F` for a `/` inside either.
    let experiment: String
    /// What people call it; the ID where events carry no name.
    let experimentName: String
    /// Nil for a score that no variant is credited with.
    let variant: String?
    /// The subject or the run.
    let unit: String
    let isRun: Bool
    /// When it happened: for a score, what its sender said.
    let time: Timestamp
    /// Of a managed experiment.
    let cohort: Int64?
    /// Of a step experiment, counted by the ledger.
    let definition: Int64?

    /// The types of events that are one.
    static let types: Set<String> = ["AssignmentMade", "VariantSelected", "ScoreRecorded"]
    static let exposureTypes: Set<String> = ["AssignmentMade", "VariantSelected"]

    init(_ event: OutgoingEvent) throws(UnreadableEvent) {
        let data = try RecordedData(RecordedLine(event), of: event)
        guard let experiment = data.experiment, let unit = data.subject ?? data.run else {
            throw UnreadableEvent(position: event.position, reason: "it names no unit")
        }
        id = event.id
        self.experiment = data.function.map { Self.key(of: experiment, in: $0) } ?? experiment
        experimentName = experiment
        variant = data.variant
        self.unit = unit
        isRun = data.run != nil
        cohort = data.cohort
        definition = data.definition
        time = data.occurredAt.flatMap { Timestamp($0) } ?? event.recordedAt
        if event.type == "ScoreRecorded" {
            guard let name = data.name, let value = data.value else {
                throw UnreadableEvent(position: event.position, reason: "it holds no score")
            }
            kind = .score(name: name, value: value)
        } else {
            kind = .exposure
        }
    }

    /// As the experiment's stream names it.
    private static func key(of experiment: String, in function: String) -> String {
        let stream = StreamName.step(StepKey(function: function, name: experiment))
        return String(stream.drop { $0 != "/" }.dropFirst())
    }
}

extension JSONWriter {
    /// What every service is told of an event, by the names of Segment's specification of A/B
    /// tests, which GrowthBook reads too; then what only the ledger knows.
    mutating func properties(of event: AnalyticsEvent) {
        key("experiment_id")
        string(event.experiment)
        key("experiment_name")
        string(event.experimentName)
        if let variant = event.variant {
            key("variation_id")
            string(variant)
            key("variation_name")
            string(variant)
        }
        if let cohort = event.cohort {
            key("cohort")
            integer(cohort)
        }
        if let definition = event.definition {
            key("definition")
            integer(definition)
        }
        if case .score(let name, let value) = event.kind {
            key("score_name")
            string(name)
            key("value")
            number(value)
        }
    }

    /// A member with a time in RFC 3339.
    mutating func time(_ name: StaticString, _ time: Timestamp) {
        key(name)
        string(time.description)
    }
}

extension [UInt8] {
    /// Appends a JSON value, whatever stands before it.
    mutating func appendJSON(_ write: (inout JSONWriter) -> Void) {
        var writer = JSONWriter(capacity: 512)
        write(&writer)
        self += writer.bytes
    }
}
