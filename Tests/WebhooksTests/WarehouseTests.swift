import Curl
import Domain
import FaultyReceiver
import SeededRandomness
import Synchronization
import TestSupport
import Testing

@testable import Webhooks

@Suite("A ClickHouse that events are delivered to", .serialized)
struct WarehouseTests {
    /// As the encoder's documentation has it for old servers, such as Debian's.
    private static let table = """
        CREATE TABLE ledger_events (
            position UInt64, id UUID, stream String, version UInt64, type String,
            recordedAt String,
            recordedDate Date MATERIALIZED toDate(substring(recordedAt, 1, 10)),
            actor String, correlation String, experiment String, function String,
            subject String, run String, variant String, cohort UInt32, definition UInt32,
            name String, value Nullable(Float64), data String
        ) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(recordedDate) ORDER BY position
        """

    @Test("holds every event exactly once by its ID, though answers and requests were lost")
    func exactlyOnce() async throws {
        let warehouse = try await onThread { try ClickHouseServer() }
        defer { warehouse.stop() }
        try warehouse.query(Self.table)
        let generator = Mutex(SeededGenerator())
        let seed = generator.withLock { $0.seed }
        // Between the two stands a network that loses requests, and answers to what was inserted.
        let losses = Mutex<[String: Int]>([:])
        let network = FaultyReceiver { request in
            // Each batch is lost twice at most: one that never arrived would be set aside.
            let lost = losses.withLock {
                $0[request.header("webhook-id") ?? "", default: 0] += 1
                return $0[request.header("webhook-id") ?? "", default: 0]
            }
            let chance =
                lost > 2 ? 9 : generator.withLock { Int.random(in: 0..<10, using: &$0) }
            if chance == 0 { return .reset }
            if chance == 1 { return .answer(503) }
            let url = warehouse.url + request.path.dropFirst()
            guard let inserted = try? warehouse.post(url, request.body) else { return .close }
            if chance == 2 { return .reset }
            if chance == 3 { return .resetInHead }
            return .answer(
                inserted.status, body: String(decoding: inserted.body, as: UTF8.self))
        }
        defer { network.stop() }
        try await DispatchedLedger.run { ledger in
            try await ledger.register(
                "warehouse", network.url + "/?insert_deduplication_token=", encoder: "clickhouse",
                events: "*", more: #","batch":{"maxCount":40}"#, start: .position(1))
            for round in 0..<20 {
                try await ledger.assign((0..<40).map { "r\(round)-\"\($0)\" Zoë" })
                try await ledger.score((0..<20).map { #"r\#(round)-\"\#($0)\" Zoë"# })
            }
            let head = ledger.log.view.position
            // What concerns webhooks themselves is left out of `*`.
            let expected = Int(head) - 1
            let isDone = try await ledger.eventually {
                ledger.advance(by: .seconds(60))
                return try await ledger.status("warehouse").position >= head
            }
            let status = try await ledger.status("warehouse")
            #expect(isDone, "\(status), seed \(seed)")
            #expect(status.setAside == 0, "seed \(seed)")
            let counts = try warehouse.query(
                "SELECT count(), uniqExact(id), uniqExact(position) FROM ledger_events FINAL")
            #expect(counts == "\(expected)\t\(expected)\t\(expected)\n", "seed \(seed)")
            let scores = try warehouse.query(
                """
                SELECT count(), sum(value) FROM ledger_events FINAL
                 WHERE type = 'ScoreRecorded' AND subject LIKE '%Zoë'
                """)
            #expect(scores == "400\t400\n", "seed \(seed)")
        }
    }

    @Test("has a row that it can't take set aside, and all others inserted")
    func malformedRow() async throws {
        let warehouse = try await onThread { try ClickHouseServer() }
        defer { warehouse.stop() }
        // Subjects of this table are numbers, so that one of them is refused.
        try warehouse.query(
            Self.table.replacing("subject String", with: "subject UInt32"))
        try await DispatchedLedger.run { ledger in
            try await ledger.register(
                "warehouse", warehouse.url + "?insert_deduplication_token=",
                encoder: "clickhouse", more: #","batch":{"maxCount":16}"#)
            try await ledger.assign((1...8).map { "\($0)" })
            #expect(try await ledger.delivered(8, to: "warehouse"))
            let subjects = (10..<74).map { $0 == 33 ? "thirty-three" : "\($0)" }
            let positions = try await ledger.assign(subjects)
            let isDone = try await ledger.eventually {
                ledger.advance(by: .seconds(60))
                return try await ledger.status("warehouse").setAside == 1
            }
            #expect(isDone)
            #expect(try await ledger.delivered(71, to: "warehouse"))
            let isKept = try await ledger.eventually {
                ledger.advance(by: .seconds(1))
                return try await ledger.dispatcher.failures.failure(
                    of: "warehouse", at: positions[23]) != nil
            }
            #expect(isKept)
            #expect(try warehouse.query("SELECT count() FROM ledger_events FINAL") == "71\n")
        }
    }
}
