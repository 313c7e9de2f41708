import Curl
import Testing

/// Drives a `MultiTransfer` on the thread of a test.
final class Sender {
    let multi = MultiTransfer()
    /// The outcomes handed out up to now.
    private(set) var outcomes: [UInt64: Outcome] = [:]
    private var nextID = UInt64(1)

    /// Starts a transfer and hands back its ID.
    @discardableResult
    func start(
        _ target: Target, _ body: RequestBody = RequestBody(Array("hello".utf8)),
        headers: [Header] = []
    ) -> UInt64 {
        defer { nextID += 1 }
        multi.start(target, headers: headers, body: body, id: nextID)
        return nextID
    }

    /// Starts a transfer and runs until it has ended.
    func send(
        _ target: Target, _ body: RequestBody = RequestBody(Array("hello".utf8)),
        headers: [Header] = []
    ) throws -> Outcome {
        let id = start(target, body, headers: headers)
        run { self.outcomes[id] != nil }
        return try #require(outcomes[id])
    }

    /// Runs until the condition holds, for ten seconds at most.
    func run(until isReached: () -> Bool) {
        let deadline = ContinuousClock.now + .seconds(10)
        while !isReached(), .now < deadline {
            multi.run(timeout: .milliseconds(20)) { outcomes[$0] = $1 }
        }
    }
}

extension Target {
    /// A target that may be anywhere.
    convenience init(
        _ url: String, adjust: (inout Options) -> Void = { _ in },
        permits: @escaping @Sendable (IPAddress) -> Bool = { _ in true }
    ) {
        var options = Options(url: url)
        adjust(&options)
        self.init(options, permits: permits)
    }
}
