import JSON
import SeededRandomness
import Testing

@Suite("A line buffer")
struct LineBufferTests {
    @Test("writes numbers as JSONWriter does")
    func numbers() {
        var generator = SeededGenerator()
        var numbers: [Int64] = [0, 9, 10, 99, 100, .max, .min, -1, 999_999_999_999_999_999]
        for shift in 0..<63 {
            numbers.append(Int64.random(in: 0...Int64.max, using: &generator) >> Int64(shift))
        }
        for number in numbers {
            var buffer = LineBuffer(capacity: 1)
            buffer.integer(number)
            #expect(buffer.bytes == Array("\(number)".utf8))
        }
    }

    @Test("escapes what JSONWriter escapes, wherever in a text it stands")
    func escapes() {
        var generator = SeededGenerator()
        let letters = ["a", "é", "\"", "\\", "\u{1F}", "\n", "\u{8}", "\u{0}", "\u{7F}", "😀", "!"]
        for length in 0..<200 {
            let isPlain = Bool.random(using: &generator)
            let text = (0..<length).map { _ in
                isPlain ? "b#]\u{20}" : letters.randomElement(using: &generator) ?? ""
            }.joined()
            var writer = JSONWriter()
            writer.string(text)
            var buffer = LineBuffer(capacity: 1)
            buffer.literal("\"")
            Array(text.utf8).withUnsafeBytes { buffer.escaped($0) }
            buffer.literal("\"")
            #expect(buffer.bytes == writer.bytes)
        }
    }
}
