import Domain
import EventLog
import JSON

extension EventLog {
    /// Submits a command as an actor of the tests.
    @discardableResult
    package func submit(_ command: Command) async throws -> Receipt {
        try await sequencer.submit(command, CommandContext(actor: "key/test"))
    }

    /// Appends proposed events in one commit.
    @discardableResult
    package func appendEvents(_ events: [ProposedEvent]) async throws -> Receipt {
        try await submit(.append(events))
    }

    /// Creates an active experiment whose variants have equal shares; the first is the control.
    @discardableResult
    package func createExperiment(
        _ id: ResourceID, variants: [ResourceID] = ["CONTROL", "TREATMENT"]
    ) async throws -> Receipt {
        let share = 1 / Double(variants.count)
        let variantList = variants.enumerated().map { index, variant in
            #"{"id":"\#(variant)","isControl":\#(index == 0)}"#
        }.joined(separator: ",")
        let splits = variants.map { #"{"variant":"\#($0)","split":\#(share)}"# }
            .joined(separator: ",")
        return try await apply(
            """
            {"schemaVersion":1,"kind":"experiment",
             "metadata":{"id":"\(id)","name":"Experiment \(id)","status":"active"},
             "spec":{"hypothesis":"It's better.","links":{"design":"https://example.com/\(id)"},
               "variants":[\(variantList)],"cohorts":[{"index":1,"variants":[\(splits)]}]}}
            """)
    }

    /// Applies a document, given as JSON.
    @discardableResult
    package func apply(_ document: String) async throws -> Receipt {
        let json = try JSONValue.parse(Array(document.utf8))
        return try await submit(.apply([ResourceDocument(json)], ApplyOptions()))
    }

    /// Assigns subjects `PREFIX_FIRST`, … of an experiment, in one commit.
    @discardableResult
    package func assign(
        _ experiment: ResourceID, subjects numbers: Range<Int>, prefix: String = "user"
    ) async throws -> Receipt {
        try await submit(.assign(experiment, subjects: numbers.map { "\(prefix)_\($0)" }))
    }
}

extension ResourceID: ExpressibleByStringLiteral {
    /// For tests, where the text is known to be an ID.
    package init(stringLiteral text: String) {
        guard let id = ResourceID(text) else { fatalError("\(text) is no resource ID") }
        self = id
    }
}
