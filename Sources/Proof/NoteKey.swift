import Crypto
import FoundationEssentials

/// A key that checks signatures of notes, as C2SP's `signed-note` writes it down:
///
///     NAME+KEYID+BASE64(0x01 ‖ public key)
///
/// with an Ed25519 public key of 32 bytes, and as key ID the first 4 bytes, in hexadecimal, of
/// SHA-256(NAME ‖ "\n" ‖ 0x01 ‖ public key).
package struct VerifierKey: Sendable, Equatable, CustomStringConvertible {
    package let name: String
    /// 4 bytes.
    package let id: [UInt8]
    let publicKey: [UInt8]

    /// The type of Ed25519 signatures among those of C2SP.
    static let ed25519: UInt8 = 0x01

    /// Reads the text form; white space around it is left out.
    package init(_ text: String) throws(NoteError) {
        let parts = text.trimmed.split(
            separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, NoteText.isKeyName(parts[0]),
            let bytes = NoteText.base64(parts[2]), bytes.count == 33, bytes[0] == Self.ed25519
        else {
            throw NoteError(
                "This is no public key: it is one line NAME+KEYID+BASE64, as `GET /v1/log/key` "
                    + "answers.")
        }
        self.init(name: String(parts[0]), publicKey: Array(bytes[1...]))
        guard parts[1].utf8.elementsEqual(hexadecimal(id).utf8) else {
            throw NoteError("The public key of \(name) is damaged: its key ID does not fit it.")
        }
    }

    init(name: String, publicKey: [UInt8]) {
        self.name = name
        self.publicKey = publicKey
        let named = Array(name.utf8) + [NoteText.newline, Self.ed25519] + publicKey
        id = Array(SHA256.hash(data: named).prefix(4))
    }

    /// The text form.
    package var description: String {
        "\(name)+\(hexadecimal(id))+\(NoteText.base64([Self.ed25519] + publicKey))"
    }

    package static func == (left: VerifierKey, right: VerifierKey) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8) && left.publicKey == right.publicKey
    }

    func isValid(_ signature: [UInt8], of text: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
            return false
        }
        return key.isValidSignature(signature, for: text)
    }
}

/// A key that signs notes: an Ed25519 key with a name. Its text form is a secret:
///
///     PRIVATE+KEY+NAME+KEYID+BASE64(0x01 ‖ seed)
package struct SigningKey: Sendable {
    package let verifierKey: VerifierKey
    private let privateKey: Curve25519.Signing.PrivateKey

    private static let prefix = "PRIVATE+KEY+"

    /// A new key; without a name it is called `ledger/` and the first 16 hexadecimal digits of its
    /// public key's SHA-256.
    package init(name: String? = nil) throws(NoteError) {
        let key = Curve25519.Signing.PrivateKey()
        let digits = hexadecimal(SHA256.hash(data: key.publicKey.rawRepresentation).prefix(8))
        try self.init(name: name ?? "ledger/\(digits)", key)
    }

    /// Reads the text form; white space around it is left out.
    package init(_ text: String) throws(NoteError) {
        let text = text.trimmed
        let parts = text.dropFirst(Self.prefix.count).split(
            separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard text.hasPrefix(Self.prefix), parts.count == 3,
            let bytes = NoteText.base64(parts[2]), bytes.count == 33,
            bytes[0] == VerifierKey.ed25519,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes[1...])
        else {
            throw NoteError("it is no signing key: one line \(Self.prefix)NAME+KEYID+BASE64")
        }
        try self.init(name: String(parts[0]), key)
        guard parts[1].utf8.elementsEqual(hexadecimal(verifierKey.id).utf8) else {
            throw NoteError("the key is damaged: its key ID does not fit it")
        }
    }

    private init(name: String, _ key: Curve25519.Signing.PrivateKey) throws(NoteError) {
        guard NoteText.isKeyName(name) else {
            throw NoteError(
                "'\(name)' can't name a log: a name has 1 to 255 bytes, no white space and no '+', "
                    + "as in example.com/ledger.")
        }
        privateKey = key
        verifierKey = VerifierKey(name: name, publicKey: Array(key.publicKey.rawRepresentation))
    }

    /// The text form, which is to be kept secret.
    package var secretText: String {
        let seed = [VerifierKey.ed25519] + Array(privateKey.rawRepresentation)
        return "\(Self.prefix)\(verifierKey.name)+\(hexadecimal(verifierKey.id))"
            + "+\(NoteText.base64(seed))"
    }

    func signature(of text: [UInt8]) throws(NoteError) -> [UInt8] {
        do { return Array(try privateKey.signature(for: text)) } catch {
            throw NoteError("The note could not be signed: \(error).")
        }
    }
}

extension String {
    /// Without white space at either end.
    fileprivate var trimmed: String {
        let start = unicodeScalars.drop { $0.properties.isWhitespace }
        let end = start.lastIndex { !$0.properties.isWhitespace }
        return end.map { String(start[...$0]) } ?? ""
    }
}
