import FoundationEssentials

/// A note, a key or a proof is not what it should be; the description is for the one who gave it.
package struct NoteError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// What C2SP's texts are made of.
enum NoteText {
    static let newline = UInt8(ascii: "\n")

    /// Base64 in its one exact form; nil for any other.
    static func base64(_ text: some StringProtocol) -> [UInt8]? {
        let text = String(text)
        guard let data = Data(base64Encoded: text),
            data.base64EncodedString().utf8.elementsEqual(text.utf8)
        else { return nil }
        return Array(data)
    }

    static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// A decimal number without a sign and without leading zeroes; nil for any other text.
    static func number(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != 0x30
        else { return nil }
        return Int64(text)
    }

    /// Whether a text may name a key: not empty, without white space, `+` and control characters.
    static func isKeyName(_ name: some StringProtocol) -> Bool {
        (1...255).contains(name.utf8.count)
            && name.unicodeScalars.allSatisfy {
                $0 != "+" && !$0.properties.isWhitespace && $0.value >= 0x20 && $0.value != 0x7F
            }
    }

    /// Valid UTF-8 that has no control characters but line breaks; nil for anything else.
    static func text(_ bytes: some Collection<UInt8>) -> String? {
        guard !bytes.contains(where: { $0 < 0x20 && $0 != newline }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The lines of a text that ends with one, without their ends.
    static func lines(_ text: String) -> [Substring] {
        text.utf8.dropLast().split(separator: newline, omittingEmptySubsequences: false)
            .map { Substring($0) }
    }
}

/// Bytes as hexadecimal digits in lower case.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
