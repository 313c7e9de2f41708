import FoundationEssentials

extension Digest {
    /// Base64 (RFC 4648), as exports and checkpoints write it.
    package var base64: String { Data(bytes).base64EncodedString() }

    /// Reads 64 hexadecimal digits, or base64.
    package init?(text: String) {
        let digits = text.compactMap(\.hexDigitValue)
        if digits.count == 64, text.count == 64 {
            self.init(
                stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
        } else if let data = Data(base64Encoded: text) {
            self.init(data)
        } else {
            return nil
        }
    }
}
