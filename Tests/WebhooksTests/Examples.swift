import Domain
import JSON

@testable import Webhooks

/// Events as the feed sends them, and what encoders are given with them.
enum Examples {
    static let settings = EncoderSettings(
        apiKey: #"key"1"#, source: "https://ledger.example/prod")

    static let assignment = event(
        position: 42, stream: #"assignment/HERO/u "1" Zoë%2F"#, type: "AssignmentMade",
        data: """
            {"experiment":"HERO","subject":"u \\"1\\" Zoë/","subjectType":"ANY","variant":"B",\
            "cohort":2,"u":0.25}
            """, correlation: "req-7")

    static let selection = event(
        position: 43, stream: "selection/app%2Ffn/hero copy/run-1", type: "VariantSelected",
        data: """
            {"function":"app/fn","experiment":"hero copy","run":"run-1","variant":"new",\
            "strategy":"weighted","variants":["new","old"],"weights":{"new":1,"old":1},\
            "hashVersion":1,"h":0.125,"nullishBucket":false,"bucketHash":null,"definition":3}
            """)

    static let score = event(
        position: 44, stream: "assignment/HERO/u-1", type: "ScoreRecorded",
        data: """
            {"experiment":"HERO","subject":"u-1","variant":"B","cohort":2,"name":"latency, ms",\
            "value":12.5,"occurredAt":"2026-01-01T00:00:00.000000Z","metadata":{"value":1}}
            """)

    static let runScore = event(
        position: 45, stream: "selection/fn/hero/run-1", type: "ScoreRecorded",
        data: """
            {"function":"fn","experiment":"hero","run":"run-1","variant":"new","definition":3,\
            "name":"ok","value":true,"occurredAt":"2026-01-01T00:00:00.000000Z"}
            """)

    static let unattributed = event(
        position: 46, stream: "unattributed/assignment/HERO/u-2", type: "ScoreRecorded",
        data: """
            {"experiment":"HERO","subject":"u-2","unattributed":true,"name":"clicks","value":-0,\
            "occurredAt":"2026-01-01T00:00:00.000000Z"}
            """)

    static let variantAdded = event(
        position: 47, stream: "experiment/HERO", type: "VariantAdded",
        data: #"{"experiment":"HERO","resourceVersion":1,"variant":{"id":"B","name":"Blue"}}"#)

    static let created = event(
        position: 48, stream: "experiment/HERO", type: "ExperimentCreated",
        data: #"{"resourceVersion":1,"metadata":{"id":"HERO"},"spec":{"subjectType":"ANY"}}"#)

    static func event(
        position: Int64, stream: String, type: String, data: String, correlation: String? = nil
    ) -> OutgoingEvent {
        let id = EventID(high: 0x0190_F3A0_0000_7000, low: 0x8000_0000_0000_0000 + UInt64(position))
        let recordedAt = Timestamp(microseconds: 1_767_323_045_678_901)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("position")
        writer.integer(position)
        writer.key("id")
        writer.string(id.description)
        writer.key("stream")
        writer.string(stream)
        writer.key("version")
        writer.integer(1)
        writer.key("type")
        writer.string(type)
        writer.key("recordedAt")
        writer.string(recordedAt.description)
        writer.key("actor")
        writer.string("key/ci")
        writer.key("data")
        writer.raw(Array(data.utf8))
        if let correlation {
            writer.key("correlation")
            writer.string(correlation)
        }
        writer.endObject()
        // As in a page of the feed, where other lines stand before and after.
        let page = Array("before\n".utf8) + writer.bytes + Array("\nafter".utf8)
        return OutgoingEvent(
            position: position, id: id, type: type, stream: stream, recordedAt: recordedAt,
            line: page[7..<(7 + writer.bytes.count)])
    }
}

extension OutgoingEvent {
    var lineText: String { String(decoding: line, as: UTF8.self) }
}

extension EventEncoder {
    /// What the encoder makes of one event, without what stands around a batch.
    func text(_ event: OutgoingEvent) throws -> String {
        var body: [UInt8] = []
        try append(event, to: &body)
        return String(decoding: body, as: UTF8.self)
    }
}
