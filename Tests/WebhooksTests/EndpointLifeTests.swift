import Domain
import FaultyReceiver
import Testing

@testable import Webhooks

@Suite("An endpoint", .timeLimit(.minutes(10)))
struct EndpointLifeTests {
    @Test("that could not be delivered to for a while goes on from where it was")
    func unusableForAWhile() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            let before = try await ledger.assign(["a", "b"])
            #expect(try await ledger.delivered(2, to: "hook"))
            let good = try ledger.webhook("hook").settings
            var bad = good
            bad.encoder = "none of this name"
            try await ledger.change("hook", .update(bad, expectedVersion: 1))
            #expect(try await ledger.status("hook").state == "unusable")
            let meanwhile = try await ledger.assign(["c"])
            try await ledger.change("hook", .update(good, expectedVersion: 2))
            #expect(try await ledger.delivered(1, to: "hook"))
            #expect(receiver.received.compactMap(\.position).sorted() == before + meanwhile)
        }
    }

    @Test("that follows one of the same name, removed while nothing ran, inherits nothing")
    func sameNameAfterARestart() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver { request in
                request.text.contains("\"poison\"") ? .answer(400) : .success
            }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["poison"])
            #expect(try await ledger.eventually { try await ledger.status("hook").setAside == 1 })
            await ledger.dispatcher.stop()
            #expect(try ledger.database.texts(Self.failures) == ["1"])
            try await ledger.change("hook", .remove)
            try await ledger.register("hook", receiver.url)
            try await ledger.restart()
            #expect(try await ledger.status("hook").setAside == 0)
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "hook"))
            #expect(receiver.received.count == 2)
            let isForgotten = try await ledger.eventually {
                ledger.advance(by: .seconds(1))
                return try ledger.database.texts(Self.failures) == ["0"]
            }
            #expect(isForgotten)
        }
    }

    private static let failures = "SELECT count(*) FROM ledger.webhook_failures"
}
