import SeededRandomness
import Testing

@testable import JSON

@Suite struct JSONScannerTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONValue.parse(Array(text.utf8))
    }

    @Test(arguments: [
        "", " ", "nul", "truefalse", "tru", "01", "-", "-01", "1.", ".5", "1e", "1e+", "+1", "NaN",
        "0x1", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "'a'", "[", "[1",
        "[1,",
        "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}",
        "{1:1}", "{\"a\" 1}", "1 1", "[]]", "\u{FEFF}1", "\"\n\"", "\"\u{1}\"", "/**/1",
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test(arguments: [#"{"a":1,"a":2}"#, #"[{"x":{"b":1,"\u0062":2}}]"#])
    func `a key that comes twice is refused`(text: String) throws {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        #expect(error?.reason.contains("duplicate key") == true)
    }

    @Test func `keys are told apart by their bytes`() throws {
        let keys = try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object?.map(\.key)
        #expect(keys?.map { Array($0.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81]])
        #expect(throws: JSONError.self) {
            try parse("{\"\u{E9}\":1,\"e\u{301}\":2,\"e\u{301}\":3}")
        }
    }

    @Test(arguments: [
        #""\ud800""#, #""\udc00""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\ud800""#,
        #""\ud83d\""#,
    ])
    func `a surrogate without its other half is refused`(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func `escapes are read, surrogate pairs too`() throws {
        #expect(
            try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\ude00\u0000""#)
                == .string("\"\\/\u{8}\u{C}\n\r\tAé😀\0"))
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0x80],
        ] as [[UInt8]])
    func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
        for prefix in ["", "\\n"] {
            #expect(throws: JSONError.self) {
                try JSONValue.parse(Array("\"\(prefix)".utf8) + bytes + Array("\"".utf8))
            }
        }
    }

    @Test func `nesting is bounded`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try parse(nested(JSONScanner.depthMax))
        let error = #expect(throws: JSONError.self) { try parse(nested(JSONScanner.depthMax + 1)) }
        #expect(error?.reason == "nested too deeply")
    }

    @Test func `an error names its byte`() {
        let error = #expect(throws: JSONError.self) { try parse(#"{"a": !}"#) }
        #expect(error?.offset == 6)
    }

    @Test func `a span is the exact text of a value`() throws {
        let text = #" { "a" : [ 1.50 , "\u0041" ] } "#
        let span = try scanning(Array(text.utf8)) { scanner throws(JSONError) in
            var span: [UInt8] = []
            try scanner.object { scanner, _ throws(JSONError) in span = try scanner.span() }
            try scanner.end()
            return span
        }
        #expect(String(decoding: span, as: UTF8.self) == #"[ 1.50 , "\u0041" ]"#)
    }

    @Test func `a number keeps its text and is an integer only where written as one`() throws {
        #expect(try parse("1.50") == .number(JSONNumber(text: "1.50")))
        #expect(try parse("1.0").integer == nil)
        #expect(try parse("-12").integer == -12)
        #expect(try parse("9223372036854775808").integer == nil)
        #expect(try parse("1e400").double == .infinity)
    }

    @Test func `any value reads back from its text`() throws {
        var generator = SeededGenerator()
        for _ in 0..<2_000 {
            let value = randomValue(4, &generator)
            #expect(try JSONValue.parse(value.encoded) == value, "seed \(generator.seed)")
        }
    }

    private func randomValue(
        _ depth: Int, _ generator: inout SeededGenerator
    ) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .number(JSONNumber(Int64(bitPattern: generator.next())))
        case 3: return .number(JSONNumber(Double.random(in: -1e9...1e9, using: &generator)))
        case 4: return .string(randomText(&generator))
        case 5:
            return .array(
                (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                    randomValue(depth - 1, &generator)
                })
        default:
            return .object(
                (0..<Int.random(in: 0..<4, using: &generator)).map { index in
                    .init("\(index)" + randomText(&generator), randomValue(depth - 1, &generator))
                })
        }
    }

    private func randomText(_ generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0..<8, using: &generator) {
            let limit: UInt32 = Bool.random(using: &generator) ? 0x80 : 0x11_0000
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
