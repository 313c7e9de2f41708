import SeededRandomness
import Testing

@testable import JSON

@Suite struct JSONWriterTests {
    private func written(_ text: String) -> String {
        var writer = JSONWriter()
        writer.string(text)
        return writer.text
    }

    @Test func `strings escape quotes, backslashes and control characters, and nothing else`() {
        for code in UInt8(0)..<0x80 {
            let scalar = Character(Unicode.Scalar(code))
            let expected =
                switch code {
                case 0x08: "\\b"
                case 0x09: "\\t"
                case 0x0A: "\\n"
                case 0x0C: "\\f"
                case 0x0D: "\\r"
                case 0x22: "\\\""
                case 0x5C: "\\\\"
                case ..<0x10: "\\u000" + String(code, radix: 16)
                case ..<0x20: "\\u00" + String(code, radix: 16)
                default: String(scalar)
                }
            #expect(written("a\(scalar)b") == "\"a\(expected)b\"")
        }
        #expect(written("/ é \u{7F}\u{2028}😀") == "\"/ é \u{7F}\u{2028}😀\"")
        #expect(written("") == "\"\"")
    }

    @Test func `commas stand between members and elements only`() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("a")
        writer.beginArray()
        writer.integer(Int64.min)
        writer.number(-0.5)
        writer.beginObject()
        writer.endObject()
        writer.beginArray()
        writer.endArray()
        writer.string(",{")
        writer.string(orNull: nil)
        writer.raw(Array("[1]".utf8))
        writer.endArray()
        writer.key("b\"" as String)
        writer.bool(true)
        writer.endObject()
        writer.newline()
        writer.null()
        #expect(
            writer.text
                == #"{"a":[-9223372036854775808,-0.5,{},[],",{",null,[1]],"b\"":true}"# + "\nnull")
    }

    @Test(arguments: [
        (0, "0"), (1, "1"), (0.5, "0.5"), (1e-7, "1e-7"), (1e16, "1e16"), (1.5e300, "1.5e300"),
        (0.1 + 0.2, "0.30000000000000004"), (-2, "-2"), (.leastNonzeroMagnitude, "5e-324"),
        (1e100, "1e100"),
    ])
    func `a number has its shortest form`(value: Double, text: String) {
        #expect(shortestForm(of: value) == text)
    }

    @Test func `any finite number reads back as the same bits`() throws {
        var generator = SeededGenerator()
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            let text = shortestForm(of: value)
            let read = try JSONValue.parse(Array(text.utf8))
            #expect(
                read.double?.bitPattern == value.bitPattern, "\(text), seed \(generator.seed)")
        }
    }

    @Test func `any integer reads back`() throws {
        var generator = SeededGenerator()
        for _ in 0..<5_000 {
            let shift = UInt64.random(in: 0..<64, using: &generator)
            let value = Int64(bitPattern: generator.next()) >> Int64(shift)
            var writer = JSONWriter()
            writer.integer(value)
            #expect(writer.text == "\(value)", "seed \(generator.seed)")
            #expect(try JSONValue.parse(writer.bytes).integer == value)
        }
    }
}
