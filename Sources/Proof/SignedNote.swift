/// A text with signatures, after C2SP's `signed-note`:
///
///     text, of whole lines
///     (an empty line)
///     — NAME BASE64(key ID ‖ signature)
///
/// The signed bytes are the text with its last line break. Signatures of keys that the reader does
/// not know are kept, and prove nothing.
package struct SignedNote: Sendable, Equatable {
    /// What is signed.
    package let text: [UInt8]
    package let signatures: [Signature]

    package struct Signature: Sendable, Equatable {
        package let keyName: String
        /// 4 bytes.
        package let keyID: [UInt8]
        let signature: [UInt8]
    }

    /// Larger notes are refused; far more than one with many witnesses needs.
    package static let bytesMax = 1 << 20
    private static let signaturesMax = 100
    private static let dash = "\u{2014} "

    /// Reads a note; whether its signatures are good is another question.
    package init(_ bytes: [UInt8]) throws(NoteError) {
        let malformed = NoteError(
            "This is no signed note: a text, an empty line, and signatures '— NAME BASE64'.")
        guard bytes.count <= Self.bytesMax, NoteText.text(bytes) != nil,
            bytes.last == NoteText.newline,
            let blank = bytes.indices.dropFirst().last(where: {
                bytes[$0] == NoteText.newline && bytes[$0 - 1] == NoteText.newline
            }), blank > 1
        else { throw malformed }
        text = Array(bytes[..<blank])
        let lines = NoteText.lines(String(decoding: bytes[(blank + 1)...], as: UTF8.self))
        let signatures = lines.compactMap { Self.signature($0) }
        guard !signatures.isEmpty, signatures.count == lines.count,
            signatures.count <= Self.signaturesMax
        else { throw malformed }
        self.signatures = signatures
    }

    private static func signature(_ line: Substring) -> Signature? {
        guard line.utf8.starts(with: dash.utf8) else { return nil }
        let parts = line.unicodeScalars.dropFirst(dash.unicodeScalars.count)
            .split(separator: " ", omittingEmptySubsequences: false).map { Substring($0) }
        guard parts.count == 2, NoteText.isKeyName(parts[0]),
            let bytes = NoteText.base64(parts[1]), bytes.count > 4
        else { return nil }
        return Signature(
            keyName: String(parts[0]), keyID: Array(bytes[..<4]), signature: Array(bytes[4...]))
    }

    /// Signs a text of whole lines.
    package init(signing text: String, with key: SigningKey) throws(NoteError) {
        self.text = Array(text.utf8)
        guard NoteText.text(self.text) != nil, self.text.last == NoteText.newline else {
            throw NoteError("A note's text consists of whole lines without control characters.")
        }
        signatures = [
            Signature(
                keyName: key.verifierKey.name, keyID: key.verifierKey.id,
                signature: try key.signature(of: self.text))
        ]
    }

    /// The note as it is kept and sent.
    package var bytes: [UInt8] {
        var bytes = text + [NoteText.newline]
        for signature in signatures {
            let base64 = NoteText.base64(signature.keyID + signature.signature)
            bytes += Array("\(Self.dash)\(signature.keyName) \(base64)\n".utf8)
        }
        return bytes
    }

    /// Refuses the note unless this key signed it.
    package func verify(_ key: VerifierKey) throws(NoteError) {
        let known = signatures.filter {
            $0.keyID == key.id && $0.keyName.utf8.elementsEqual(key.name.utf8)
        }
        guard !known.isEmpty else {
            let names = signatures.map { "\($0.keyName)+\(hexadecimal($0.keyID))" }
            throw NoteError(
                "The note is not signed by \(key.name)+\(hexadecimal(key.id)), but by "
                    + "\(names.joined(separator: ", ")).")
        }
        guard known.allSatisfy({ key.isValid($0.signature, of: text) }) else {
            throw NoteError(
                "The signature by \(key.name) is wrong: the note was changed or forged.")
        }
    }
}
