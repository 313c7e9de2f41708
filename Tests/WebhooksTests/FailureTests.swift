import Domain
import EventLog
import FaultyReceiver
import JSON
import Synchronization
import Testing

@testable import Webhooks

/// A receiver that treats the first requests badly, and all later ones well.
private func recovering(after count: Int, _ behaviour: Behaviour) -> FaultyReceiver {
    let left = Mutex(count)
    return FaultyReceiver { _ in
        left.withLock { left in
            guard left > 0 else { return .success }
            left -= 1
            return behaviour
        }
    }
}

@Suite("An endpoint that fails")
struct FailureTests {
    private static let faults: [(String, Behaviour)] = [
        ("resets the connection", .reset), ("resets it in the head", .resetInHead),
        ("closes it", .close), ("does not answer", .silence), ("sends a byte a second", .drip),
        ("sends huge headers", .headers(bytes: 1 << 20, lineBytes: 1 << 10)),
        ("sends interim answers for ever", .interim(count: nil)),
        ("sends no HTTP", .garbage), ("redirects to a metadata service", .redirectToMetadata),
        ("answers 401", .answer(401)), ("answers 404", .answer(404)),
        ("answers 408", .answer(408)), ("answers 429", .answer(429)),
        ("answers 500", .answer(500)), ("answers 503", .answer(503)),
    ]

    @Test("gets the same request again at once, and is well again", arguments: faults.indices)
    func firstRetry(_ index: Int) async throws {
        let (name, behaviour) = Self.faults[index]
        try await DispatchedLedger.run { ledger in
            let receiver = recovering(after: 1, behaviour)
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "hook"), "\(name)")
            let attempts = receiver.received
            #expect(attempts.count == 2, "\(name)")
            #expect(Set(attempts.map { $0.header("webhook-id") }).count == 1, "\(name)")
            #expect(attempts.allSatisfy { $0.body == attempts[0].body }, "\(name)")
            #expect(try await ledger.status("hook").state == "healthy", "\(name)")
        }
    }

    @Test("is taken at its word where it answers 200 with a body that does not end")
    func endlessBody() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver { _ in .endlessBody }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "hook"))
            #expect(receiver.received.count == 1)
        }
    }

    @Test("gets each event over new connections where it closes idle ones without a word")
    func closedIdleConnections() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver { _ in .answerAndClose }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url, more: #","mode":"strict""#)
            let positions = try await ledger.assign((0..<20).map { "s\($0)" })
            #expect(
                try await ledger.eventually {
                    // A reused connection that broke is a failed attempt like any other.
                    ledger.advance(by: .seconds(10))
                    return try await ledger.status("hook").counts.delivered >= positions.count
                })
            #expect(Set(receiver.received.compactMap(\.position)) == Set(positions))
        }
    }

    @Test("is tried by the schedule, one request at a time, however many events wait")
    func schedule() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver { _ in .answer(503) }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["first"])
            // The first attempt, and the retry that follows at once.
            #expect(try await ledger.eventually { receiver.received.count == 2 })
            try await ledger.assign((0..<50).map { "s\($0)" })
            for (number, delay) in Health.retryDelays.enumerated().dropFirst() {
                #expect(
                    try await ledger.eventually {
                        try await ledger.status("hook").failures == number + 1
                    })
                ledger.advance(by: delay - .milliseconds(1))
                _ = try await ledger.status("hook")
                #expect(receiver.received.count == number + 1, "too early at \(delay)")
                ledger.advance(by: delay * Health.jitterMax + .milliseconds(2))
                let expected = number + 2
                #expect(
                    try await ledger.eventually { receiver.received.count >= expected },
                    "no retry after \(delay)")
                #expect(receiver.received.count == expected)
            }
        }
    }

    @Test("says in Retry-After when to come back", arguments: [true, false])
    func retryAfter(isDate: Bool) async throws {
        try await DispatchedLedger.run { ledger in
            let date = (ledger.clock.now + .seconds(120)).httpDate
            let receiver = recovering(
                after: 1, .answer(429, headers: [("Retry-After", isDate ? date : "120")]))
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["a"])
            #expect(try await ledger.eventually { try await ledger.status("hook").failures == 1 })
            ledger.advance(by: .seconds(118))
            _ = try await ledger.status("hook")
            #expect(receiver.received.count == 1)
            ledger.advance(by: .seconds(3))
            #expect(try await ledger.delivered(1, to: "hook"))
        }
    }

    @Test("is disabled at once where it answers 410, and goes on from there when resumed")
    func gone() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = recovering(after: 1, .answer(410))
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url, more: #","mode":"strict""#)
            let positions = try await ledger.assign(["a", "b", "c"])
            #expect(
                try await ledger.eventually { try ledger.webhook("hook").status.name == "disabled" }
            )
            #expect(receiver.received.count == 1)
            try await ledger.change("hook", .resume)
            #expect(try await ledger.delivered(3, to: "hook"))
            #expect(receiver.received.compactMap(\.position) == [positions[0]] + positions)
        }
    }

    @Test("is disabled after five days, with an event that says why, and loses nothing")
    func fiveDays() async throws {
        try await DispatchedLedger.run { ledger in
            let isWell = Mutex(false)
            let receiver = FaultyReceiver { _ in
                isWell.withLock { $0 } ? .success : .answer(500)
            }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["a", "b"])
            let isDisabled = try await ledger.eventually {
                ledger.advance(by: .seconds(3_600))
                return try ledger.webhook("hook").status.name == "disabled"
            }
            #expect(isDisabled)
            guard case .disabled(let reason) = try ledger.webhook("hook").status else { return }
            #expect(reason.contains("five days"))
            #expect(reason.contains("500"))
            isWell.withLock { $0 = true }
            try await ledger.change("hook", .resume)
            #expect(try await ledger.delivered(2, to: "hook"))
        }
    }

    @Test("does not hold up another one that is well")
    func neighbours() async throws {
        try await DispatchedLedger.run { ledger in
            let hostile = FaultyReceiver { _ in .silence }
            let healthy = FaultyReceiver()
            defer {
                hostile.stop()
                healthy.stop()
            }
            for number in 0..<20 { try await ledger.register("bad\(number)", hostile.url) }
            try await ledger.register("good", healthy.url)
            try await ledger.assign((0..<100).map { "s\($0)" })
            #expect(try await ledger.delivered(100, to: "good"))
        }
    }
}

extension Timestamp {
    /// As HTTP writes dates.
    fileprivate var httpDate: String {
        let text = description
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let month = months[(Int(text.prefix(7).suffix(2)) ?? 1) - 1]
        let day = text.prefix(10).suffix(2)
        return "Mon, \(day) \(month) \(text.prefix(4)) \(text.prefix(19).suffix(8)) GMT"
    }
}
