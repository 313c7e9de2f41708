import Domain
import Testing

@testable import EventLog

@Suite("An event's line")
struct StoredEventTests {
    private func event(correlation: String? = nil) throws -> StoredEvent {
        StoredEvent(
            position: 1, id: try #require(EventID("018f3b1c-7d2a-7abc-8def-0123456789ab")),
            stream: "experiment/HERO", version: 1, type: "ExperimentCreated",
            recordedAt: try #require(Timestamp("2026-01-02T03:04:05.678901Z")), actor: "key/ci",
            data: Array(#"{"b":1.50,"a":"\u001fé\n/"}"#.utf8), correlation: correlation)
    }

    @Test("has the members in their fixed order, without white space, its data untouched")
    func exactForm() throws {
        let line = String(decoding: try event().line, as: UTF8.self)
        #expect(
            line
                == #"{"position":1,"id":"018f3b1c-7d2a-7abc-8def-0123456789ab","#
                + #""stream":"experiment/HERO","version":1,"type":"ExperimentCreated","#
                + #""recordedAt":"2026-01-02T03:04:05.678901Z","actor":"key/ci","#
                + #""data":{"b":1.50,"a":"\u001fé\n/"}}"#)
    }

    @Test("ends with the correlation where there is one, escaped")
    func correlation() throws {
        let line = String(decoding: try event(correlation: "a\"\\\u{1F}/é").line, as: UTF8.self)
        #expect(line.hasSuffix(#"},"correlation":"a\"\\\u001f/é"}"#))
    }

    @Test("reads back as the same event")
    func roundTrip() throws {
        let original = try event(correlation: "request 7")
        #expect(try StoredEvent(line: original.line) == original)
    }

    @Test(
        "is refused where it is not in its exact form",
        arguments: [
            (#""position":1"#, #""position": 1"#), (#""version":1"#, #""version":01"#),
            ("678901Z", "6789010Z"), ("018f3b1c", "018F3B1C"), (#""actor":"key/ci","#, ""),
            ("key/ci", #"key\/ci"#),
        ])
    func inexactForm(_ change: (String, String)) throws {
        let line = String(decoding: try event().line, as: UTF8.self)
            .replacing(change.0, with: change.1)
        #expect(throws: LineError.self) { try StoredEvent(line: Array(line.utf8)) }
    }
}
