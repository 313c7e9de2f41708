import JSON

@testable import Domain

/// A ledger in memory: decides commands and keeps what the log would hold.
struct TestLedger {
    private(set) var state = State()
    /// All there is to know beside the state.
    private(set) var facts = Facts()
    private(set) var log: [Line] = []
    /// The time of the next command.
    var now = Timestamp("2026-01-02T03:04:05.678901Z")!

    struct Line {
        var stream: String
        var type: String
        var data: [UInt8]
        var context: EventContext
    }

    @discardableResult
    mutating func run(_ command: Command) throws(Refusal) -> Decision {
        var decider = Decider(
            state: state, facts: facts, now: now, nextPosition: Int64(log.count + 1))
        let decision = try decider.decide(command)
        state = decider.state
        facts = decider.facts
        for decided in decision.events {
            let context = EventContext(position: Int64(log.count + 1), recordedAt: now)
            log.append(
                Line(
                    stream: decided.event.stream, type: decided.event.type,
                    data: decided.event.data, context: context))
        }
        now.microseconds += 1_000_000
        return decision
    }

    /// Applies documents and returns the types of the events.
    @discardableResult
    mutating func apply(
        _ documents: String..., options: ApplyOptions = ApplyOptions()
    ) throws(Refusal) -> [String] {
        var read: [ResourceDocument] = []
        for (index, document) in documents.enumerated() {
            let pointer = documents.count == 1 ? "" : "/\(index)"
            read.append(try ResourceDocument(json(document), pointer: pointer))
        }
        return try run(.apply(read, options)).types
    }

    @discardableResult
    mutating func step(_ step: LifecycleStep, _ id: String = "HERO") throws(Refusal) -> [String] {
        try run(.step(ResourceID(id)!, step)).types
    }

    @discardableResult
    mutating func append(_ type: String, _ data: String) throws(Refusal) -> [String] {
        try run(.append([ProposedEvent(type: type, data: json(data))])).types
    }

    @discardableResult
    mutating func assign(
        _ subjects: String..., to id: String = "HERO"
    ) throws(Refusal) -> [AssignmentAnswer] {
        try run(.assign(ResourceID(id)!, subjects: subjects)).assignments
    }

    func experiment(_ id: String = "HERO") -> Experiment? { state.experiments[ResourceID(id)!] }

    /// The fold over the log, read back from its data.
    func replayed() throws -> State {
        var state = State()
        for line in log {
            let event = try LedgerEvent(type: line.type, data: JSONValue.parse(line.data))
            state.evolve(event, at: line.context)
        }
        return state
    }
}

extension Decision {
    var types: [String] { events.map(\.event.type) }
}

/// The tree of a JSON text that is known to be right.
func json(_ text: String) -> JSONValue {
    do { return try JSONValue.parse(Array(text.utf8)) } catch { fatalError("\(error): \(text)") }
}

func id(_ text: String) -> ResourceID { ResourceID(text)! }

/// The refusal of what is tried, or nil where it goes through.
func refusal<T>(_ body: () throws(Refusal) -> T) -> Refusal? {
    do throws(Refusal) {
        _ = try body()
        return nil
    } catch { return error }
}

/// An experiment `hero` in JSON; each part can be replaced by other JSON.
func hero(
    _ status: String? = "draft", id: String = "hero", metadata: String = "", spec: String = "",
    variants: String = #"{"id":"control","isControl":true},{"id":"treatment-a"}"#,
    cohorts: String = cohort(1, ("control", 0.5), ("treatment-a", 0.5))
) -> String {
    let status = status.map { #","status":"\#($0)""# } ?? ""
    return """
        {"schemaVersion":1,"kind":"experiment","metadata":{"id":"\(id)"\(status)\(metadata)},
        "spec":{"variants":[\(variants)],"cohorts":[\(cohorts)]\(spec)}}
        """
}

func cohort(_ index: Int, at createdAt: String? = nil, _ splits: (String, Double)...) -> String {
    let createdAt = createdAt.map { #""createdAt":"\#($0)","# } ?? ""
    let splits = splits.map { #"{"variant":"\#($0.0)","split":\#($0.1)}"# }
    return #"{"index":\#(index),\#(createdAt)"variants":[\#(splits.joined(separator: ","))]}"#
}
