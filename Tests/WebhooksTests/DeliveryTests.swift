import Curl
import Domain
import EventLog
import FaultyReceiver
import Gzip
import JSON
import Postgres
import Secrets
import SeededRandomness
import Synchronization
import TestSupport
import Testing

@testable import Webhooks

@Suite("Deliveries")
struct DeliveryTests {
    @Test("keep the order of each key while their endpoint fails at random")
    func orderPerKey() async throws {
        try await DispatchedLedger.run { ledger in
            let generator = Mutex(SeededGenerator())
            let seed = generator.withLock { $0.seed }
            let receiver = FaultyReceiver { _ in
                switch generator.withLock({ Int.random(in: 0..<12, using: &$0) }) {
                case 0: .answer(500)
                case 1: .reset
                case 2: .answer(429)
                default: .success
                }
            }
            defer { receiver.stop() }
            try await ledger.register(
                "hook", receiver.url, encoder: "ndjson", events: "*",
                more: #","batch":{"maxCount":7}"#)
            for round in 0..<30 {
                try await ledger.assign((0..<10).map { "r\(round)-\($0)" })
                try await ledger.score((0..<10).map { "r\(round)-\($0)" })
            }
            let arrived = try await ledger.eventually {
                ledger.advance(by: .seconds(600))
                return try await ledger.status("hook").counts.delivered >= 600
            }
            #expect(arrived, "seed \(seed)")
            // Of a subject the assignment first, then its score, whatever was repeated.
            var seen: Set<Int64> = []
            let lines = receiver.received.flatMap { request in
                request.body.split(separator: UInt8(ascii: "\n")).map(Array.init)
            }
            for line in lines {
                let event = try StoredEvent(line: line)
                if event.version > 1, event.type == "ScoreRecorded" {
                    #expect(
                        seen.contains { $0 < event.position }, "seed \(seed)")
                    #expect(
                        lines.firstPosition(of: event.stream, version: 1).map(seen.contains)
                            ?? false, "\(event.stream) out of order, seed \(seed)")
                }
                seen.insert(event.position)
            }
        }
    }

    @Test("halve a batch until the event that is refused is set aside alone")
    func poison() async throws {
        try await DispatchedLedger.run { ledger in
            let refuses = Mutex(true)
            let receiver = FaultyReceiver { request in
                refuses.withLock { $0 } && request.text.contains("\"poison\"")
                    ? .answer(400, body: "I can't read poison") : .success
            }
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url, encoder: "ndjson")
            let subjects = (0..<40).map { $0 == 23 ? "poison" : "s\($0)" }
            let positions = try await ledger.assign(subjects)
            #expect(try await ledger.delivered(39, to: "hook"))
            let isKept = try await ledger.eventually {
                ledger.advance(by: .seconds(1))
                return try await ledger.dispatcher.failures.failures(of: "hook", limit: 9).count
                    == 1
            }
            #expect(isKept)
            let failure = try #require(
                try await ledger.dispatcher.failures.failures(of: "hook", limit: 9).first)
            #expect(failure.position == positions[23])
            #expect(failure.status == 400)
            #expect(failure.answer == "I can't read poison")
            #expect(try await ledger.status("hook").setAside == 1)

            refuses.withLock { $0 = false }
            #expect(try await ledger.dispatcher.redeliver(nil, of: "hook") == [positions[23]])
            #expect(try await ledger.delivered(40, to: "hook"))
            let isForgotten = try await ledger.eventually {
                ledger.advance(by: .seconds(1))
                return try await ledger.dispatcher.failures.failures(of: "hook", limit: 9).isEmpty
            }
            #expect(isForgotten)
        }
    }

    @Test("go out in batches that grow while a request is in flight")
    func batches() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register(
                "hook", receiver.url, encoder: "ndjson",
                more: #","batch":{"maxCount":50},"mode":"strict""#)
            let positions = try await ledger.assign((0..<500).map { "s\($0)" })
            #expect(try await ledger.delivered(500, to: "hook"))
            #expect(receiver.received.flatMap(\.positions) == positions)
            #expect(receiver.received.count <= 12)
        }
    }

    @Test("write at most one row for a hundred events while all is well")
    func rowsWritten() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url, encoder: "ndjson")
            for round in 0..<20 {
                try await ledger.assign((0..<500).map { "r\(round)-\($0)" })
                ledger.advance(by: .milliseconds(150))
            }
            #expect(try await ledger.delivered(10_000, to: "hook"))
            try await ledger.restart()
            let written = try ledger.database.texts(
                """
                SELECT (n_tup_ins + n_tup_upd)::text FROM pg_stat_user_tables
                 WHERE relname = 'webhook_progress'
                """)
            let rows = try #require(Int(written.first ?? ""))
            #expect(rows > 0)
            #expect(rows <= 100)
            #expect(
                try ledger.database.texts("SELECT count(*)::text FROM ledger.webhook_failures")
                    == ["0"])
        }
    }

    @Test("go on after a restart from where they were, with the same IDs for what is repeated")
    func restart() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            let first = try await ledger.assign((0..<50).map { "a\($0)" })
            #expect(try await ledger.delivered(50, to: "hook"))
            try await ledger.restart()
            let second = try await ledger.assign((0..<50).map { "b\($0)" })
            #expect(try await ledger.delivered(50, to: "hook"))
            #expect(receiver.received.compactMap(\.position).sorted() == first + second)

            // As a crash would: the rows are as they were before the last events.
            try await ledger.restart(
                after: "UPDATE ledger.webhook_progress SET position = position - 9")
            #expect(try await ledger.eventually { receiver.received.count >= 109 })
            let repeated = receiver.received.suffix(9)
            for request in repeated {
                let same = receiver.received.first { $0.position == request.position }
                #expect(same?.header("webhook-id") == request.header("webhook-id"))
            }
        }
    }

    @Test("stop on a node that another has overtaken, which writes nothing more")
    func fenced() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.assign(["a"])
            #expect(try await ledger.delivered(1, to: "hook"))
            try ledger.database.execute("UPDATE ledger.head SET epoch = epoch + 1")
            try await ledger.restart()
            #expect(
                try ledger.database.texts("SELECT count(*)::text FROM ledger.webhook_progress")
                    == ["0"])
        }
    }

    @Test("of a stretch of the log are repeated on request, and counted")
    func replay() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            let positions = try await ledger.assign((0..<30).map { "s\($0)" })
            #expect(try await ledger.delivered(30, to: "hook"))
            try await ledger.change(
                "hook", .replay(from: positions[10], through: positions[19], rateLimit: nil))
            #expect(try await ledger.delivered(40, to: "hook"))
            let isCompleted = try await ledger.eventually {
                try ledger.webhook("hook").replays.first?.status == .completed
            }
            #expect(isCompleted)
            #expect(
                receiver.received.suffix(10).compactMap(\.position).sorted()
                    == Array(positions[10..<20]))
        }
    }

    @Test("of a replay keep to its own rate, and end where it is cancelled")
    func cancelledReplay() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            let positions = try await ledger.assign((0..<30).map { "s\($0)" })
            #expect(try await ledger.delivered(30, to: "hook"))
            try await ledger.change(
                "hook", .replay(from: positions[0], through: positions[29], rateLimit: 2))
            #expect(try await ledger.delivered(31, to: "hook"))
            ledger.advance(by: .milliseconds(501))
            #expect(try await ledger.delivered(32, to: "hook"))
            #expect(receiver.received.count == 32)
            try await ledger.change("hook", .cancelReplay(1))
            ledger.advance(by: .seconds(5))
            _ = try await ledger.status("hook")
            try await ledger.assign(["news"])
            #expect(try await ledger.delivered(33, to: "hook"))
            #expect(receiver.received.count == 33)
        }
    }

    @Test("wait while their endpoint is paused, and lose nothing")
    func paused() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            try await ledger.change("hook", .pause)
            _ = try await ledger.eventually {
                try await ledger.status("hook").state == "paused"
            }
            try await ledger.assign((0..<20).map { "s\($0)" })
            #expect(try await ledger.status("hook").counts.delivered == 0)
            try await ledger.change("hook", .resume)
            #expect(try await ledger.delivered(20, to: "hook"))
        }
    }

    @Test("stay away from an address that the endpoint's networks do not hold")
    func forbiddenAddress() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("hook", receiver.url)
            var settings = try ledger.webhook("hook").settings
            settings.allow = ["10.0.0.0/8"]
            try await ledger.change("hook", .update(settings, expectedVersion: 1))
            try await ledger.assign(["a"])
            #expect(try await ledger.eventually { try await ledger.status("hook").failures > 0 })
            #expect(try await ledger.status("hook").reason?.contains("127.0.0.1") == true)
            #expect(receiver.connectionCount == 0)
        }
    }

    @Test("of other endpoints go on where one's secret can't be opened, which says so")
    func wrongKeyFile() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            try await ledger.register("old", receiver.url)
            let other = SecretBox(key: .init(size: .bits256))
            try await ledger.restart(box: other)
            let status = try await ledger.eventually {
                await ledger.dispatcher.status()["old"]?.state == "unusable"
            }
            #expect(status)
            #expect(try await ledger.status("old").reason?.contains("another key file") == true)
        }
    }

    @Test("carry a compressed body whose signature is over the plain one")
    func compressed() async throws {
        try await DispatchedLedger.run { ledger in
            let receiver = FaultyReceiver()
            defer { receiver.stop() }
            let secret = try await ledger.register(
                "hook", receiver.url, encoder: "ndjson", more: #","compression":"gzip""#)
            try await ledger.assign((0..<10).map { "s\($0)" })
            #expect(try await ledger.delivered(10, to: "hook"))
            let request = try #require(receiver.received.first)
            #expect(request.header("content-encoding") == "gzip")
            let plain = try gunzipped(request.body, bytesMax: 1 << 20)
            let id = try #require(request.header("webhook-id"))
            let timestamp = try #require(request.header("webhook-timestamp").flatMap { Int64($0) })
            #expect(
                request.header("webhook-signature")
                    == (try secret.signature(id: id, timestamp: timestamp, body: plain)))
        }
    }
}

extension DispatchedLedger {
    /// Records a score of each subject, in one commit.
    func score(_ subjects: [String]) async throws {
        let requests = subjects.map { subject in
            #"{"experiment":"HERO","subject":"\#(subject)","name":"revenue","value":1}"#
        }
        try await log.appendEvents(
            try requests.map {
                ProposedEvent(type: "ScoreRecorded", data: try JSONValue.parse(Array($0.utf8)))
            })
    }
}

extension [[UInt8]] {
    /// The position of an event of a stream, among lines of the feed.
    fileprivate func firstPosition(of stream: String, version: Int64) -> Int64? {
        for line in self {
            guard let event = try? StoredEvent(line: line) else { continue }
            if event.stream == stream, event.version == version { return event.position }
        }
        return nil
    }
}
