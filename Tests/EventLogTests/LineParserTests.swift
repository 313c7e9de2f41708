import Domain
import SeededRandomness
import TestSupport
import Testing

@testable import EventLog

@Suite("The parser of lines")
struct LineParserTests {
    private static func parsed(_ line: [UInt8]) -> StoredEvent? {
        var parser = LineParser()
        return line.withUnsafeBytes { parser.parse($0)?.event }
    }

    @Test("reads what was written")
    func roundTrip() {
        var generator = SeededGenerator()
        for position in 1...3_000 {
            let event = RandomLines.event(position: Int64(position), &generator)
            #expect(Self.parsed(event.line) == event)
        }
    }

    /// Bytes that mean something in a line, and some that mean nothing.
    private static let bytes =
        Array(#""\{}[]:,.-+eEu0123456789abcdefTZtrnl/ "#.utf8) + [
            0x00, 0x09, 0x0A, 0x1F, 0x7F, 0x80, 0xBF, 0xC3, 0xA9, 0xED, 0xF0, 0xFF,
        ]
    private static let pieces = [
        #"\u0000"#, #"\u0008"#, #"\u000b"#, #"\u000B"#, #"\u001f"#, #"\u0020"#, #"\u00e9"#,
        #"\ud83d\ude00"#, #"\ud83d"#, #"\ude00"#, #"\/"#, #"\""#, "-0", "00", "1e5", "-", "null",
        "[[[[", "]", #","correlation":"""#, #""a":1,"#, " ", "\u{E9}",
    ].map { Array($0.utf8) }

    private static func mutated(
        _ line: [UInt8], _ generator: inout SeededGenerator
    ) -> [UInt8] {
        var line = line
        for _ in 0...Int.random(in: 0...2, using: &generator) {
            let at = Int.random(in: 0..<line.count, using: &generator)
            let end = min(line.count, at + Int.random(in: 0...3, using: &generator))
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: line[at] = bytes.randomElement(using: &generator) ?? 0
            case 1: line.insert(bytes.randomElement(using: &generator) ?? 0, at: at)
            case 2: line.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: at)
            case 3: line.replaceSubrange(at..<end, with: [])
            default: line.replaceSubrange(at..<end, with: line[at..<end].reversed())
            }
            if line.isEmpty { line = [0x7B] }
        }
        return line
    }

    @Test("takes exactly the lines that are read the slow way, whatever was changed")
    func mutations() {
        var generator = SeededGenerator()
        var taken = 0
        for position in 1...20_000 {
            let event = RandomLines.event(position: Int64(position % 40), &generator)
            let line = Self.mutated(event.line, &generator)
            let slow = try? StoredEvent(line: line)
            taken += slow == nil ? 0 : 1
            #expect(Self.parsed(line) == slow, "\(String(decoding: line, as: UTF8.self))")
        }
        // Else the test would say little.
        #expect(taken > 500)
    }

    @Test(
        "knows the bounds of numbers, times and depths",
        arguments: [
            (#""version":1"#, #""version":9223372036854775807"#),
            (#""version":1"#, #""version":9223372036854775808"#),
            (#""version":1"#, #""version":-9223372036854775808"#),
            (#""version":1"#, #""version":-0"#), (#""version":1"#, #""version":0"#),
            ("2026-01-02", "2026-02-29"), ("2026-01-02", "2024-02-29"),
            ("2026-01-02", "0000-01-01"), ("2026-01-02", "0001-01-01"),
            ("2026-01-02T03", "9999-12-31T23"), ("T03", "T24"), (":04:05", ":60:05"),
            (":05.", ":60."), ("05.678901Z", "05.67890Z"), ("T03", "t03"),
            ("{}", String(repeating: "[", count: 63) + String(repeating: "]", count: 63)),
            ("{}", String(repeating: "[", count: 64) + String(repeating: "]", count: 64)),
            ("{}", ""), ("{}", " {}"), ("{}", "{} "), ("{}", "{\"a\" : [1 , 2.5e+3] }"),
            ("{}", "{\"a\":1,}"), ("{}", "[1,]"), ("{}", "01"), ("{}", "1."), ("{}", "-"),
            ("{}", #""\ud83dx""#), ("{}", #""\ud83d\ud83d""#), ("{}", "nul"), ("{}", "\"\u{1}\""),
        ])
    func bounds(_ change: (String, String)) throws {
        let line =
            #"{"position":1,"id":"018f3b1c-7d2a-7abc-8def-0123456789ab","stream":"lab/A","#
            + #""version":1,"type":"LabCreated","recordedAt":"2026-01-02T03:04:05.678901Z","#
            + #""actor":"key/ci","data":{}}"#
        let changed = Array(line.replacing(change.0, with: change.1, maxReplacements: 1).utf8)
        #expect(Self.parsed(changed) == (try? StoredEvent(line: changed)))
    }
}
