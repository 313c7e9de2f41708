import Domain
import EventLog
import Postgres

/// Random events with whatever a line may hold, also what no decider would record.
package enum RandomLines {
    private static let letters = [
        "a", "B", "/", "%", "é", "e\u{301}", "\"", "\\", "\u{1}", "\u{1F}", "\n", "\t", "\u{8}",
        "\u{C}", "\r", "\u{7F}", "😀", "\u{2028}", " ", "{", "}", ":", ",",
    ]
    private static let values = [
        "{}", "[]", "0", "-0", "1.50", "1e-7", "true", "null", #""""#, #""é\u001f\n\/""#,
        #"{"b":[1,{"c":[]}],"a":"\ud83d\ude00"}"#, "{ \"a\" : 1 , \"a\" : 2 }",
    ]

    package static func text(_ generator: inout some RandomNumberGenerator) -> String {
        (0..<Int.random(in: 0...20, using: &generator)).map { _ in
            letters.randomElement(using: &generator) ?? ""
        }.joined()
    }

    package static func event(
        position: Int64, _ generator: inout some RandomNumberGenerator
    ) -> StoredEvent {
        StoredEvent(
            position: position,
            id: EventID(high: generator.next() as UInt64, low: generator.next() as UInt64),
            stream: "\(position)/" + text(&generator),
            version: Int64.random(in: 1...99, using: &generator), type: text(&generator),
            recordedAt: Timestamp(
                microseconds: Int64.random(
                    in: -62_135_596_800_000_000..<253_402_300_800_000_000, using: &generator)),
            actor: text(&generator),
            data: Array((values.randomElement(using: &generator) ?? "1").utf8),
            correlation: Bool.random(using: &generator) ? text(&generator) : nil)
    }

    /// Puts events into the log's table, past all that guards it.
    package static func store(_ events: [StoredEvent], _ connection: Connection) throws {
        _ = try connection.copyIn(
            "COPY ledger.events (\(LogScan.eventColumns)) FROM STDIN (FORMAT binary)"
        ) { (writer) throws(PostgresError) in
            for event in events {
                try writer.beginRow(columns: 9)
                writer.int64(event.position)
                writer.uuid(event.id.bytes)
                writer.text(event.stream)
                writer.int64(event.version)
                writer.text(event.type)
                writer.timestamp(event.recordedAt.microseconds)
                writer.text(event.actor)
                writer.bytes(event.data)
                if let correlation = event.correlation {
                    writer.text(correlation)
                } else {
                    writer.null()
                }
            }
        }
    }
}
