import FaultyReceiver
import JSON
import TestSupport
import Testing

extension ServedLedger {
    /// Registers an endpoint; `rest` are more members.
    @discardableResult
    func register(
        _ url: String = "https://8.8.8.8/hook", id: String = "shop",
        events: String = #"["*"]"#, _ rest: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            "POST", "/v1/webhooks",
            #"{"id":"\#(id)","url":"\#(url)","events":\#(events)"# + (rest.isEmpty ? "" : ",")
                + rest + "}", sourceLocation: sourceLocation)
    }

    /// Registers an endpoint at a receiver of this machine, and gives its secret.
    func register(_ receiver: FaultyReceiver, _ rest: String = "") async throws -> String {
        let answer = try await register(
            "\(receiver.url)/hook", #""allow":["127.0.0.0/8"]"# + (rest.isEmpty ? "" : ",") + rest)
        return try #require(answer["secret"]?.string, "\(answer.text)")
    }

    /// Asks for an endpoint until it is as wanted.
    @discardableResult
    func webhook(
        _ what: Comment, id: String = "shop", sourceLocation: SourceLocation = #_sourceLocation,
        until isReached: (Answer) -> Bool
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let answer = try await get("/v1/webhooks/\(id)", sourceLocation: sourceLocation)
            if isReached(answer) { return answer }
            guard ContinuousClock.now < deadline else {
                Issue.record("\(what): \(answer.text)", sourceLocation: sourceLocation)
                return answer
            }
            await Task.yield()
        }
    }

    /// Creates a lab, and gives the position of its event.
    @discardableResult
    func createLab(_ id: String) async throws -> Int64 {
        let answer = try await apply(
            #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"\#(id)"}}"#)
        #expect(answer.status == 200)
        return log.view.position
    }
}

extension FaultyReceiver {
    /// Waits for that many requests.
    func requests(_ count: Int) async throws -> [Received] {
        let isReached = try await onThread {
            self.wait { $0.received.count >= count }
        }
        #expect(isReached, "\(self.received.count) of \(count) requests came")
        return received
    }
}
