import Crypto
import FoundationEssentials
import Proof
import Secrets

/// The key of one sealed subject: 32 random bytes, from which all that is the subject's derives.
///
/// - The token is `sealed-` and the first 16 bytes, in hexadecimal, of HMAC-SHA256 of `subject`, a
///   zero byte and the subject's ID, under the key itself.
/// - A ciphertext is base64 of a version byte (1), a nonce of 12 bytes, AES-256-GCM's ciphertext and
///   its tag, under the HKDF-SHA256 of the key for `ledger subject text 1`. The token and the use are
///   authenticated with it. Nonces are a hash of what is sealed, under a derived key of their own:
///   the same text is sealed the same way, so that a request that comes again is the same.
/// - IDs are filled up with zero bytes to a multiple of 32, so that their length says little.
struct SubjectKey: Sendable {
    let key: SymmetricKey

    /// What ciphertexts are for; one does not open as another.
    enum Use: String { case subject, metadata }

    private static let version: UInt8 = 1
    private static let nonceBytes = 12
    private static let tagBytes = 16
    private static let paddedTo = 32
    static let tokenPrefix = "sealed-"

    init() { key = SymmetricKey(size: .bits256) }

    init(bytes: [UInt8]) { key = SymmetricKey(data: bytes) }

    var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }

    func token(of subject: String) -> String {
        let hash = HMAC<SHA256>.authenticationCode(
            for: Array("subject".utf8) + [0] + Array(subject.utf8), using: key)
        return Self.tokenPrefix + hexadecimal(hash.prefix(16))
    }

    func seal(subject: String, _ token: String) throws -> String {
        var padded = Array(subject.utf8)
        let excess = padded.count % Self.paddedTo
        if excess > 0 {
            padded += [UInt8](repeating: 0, count: Self.paddedTo - excess)
        }
        return try seal(padded, .subject, token)
    }

    /// - Returns: base64.
    func seal(_ plaintext: [UInt8], _ use: Use, _ token: String) throws -> String {
        let context = Self.context(use, token)
        let nonce = HMAC<SHA256>.authenticationCode(
            for: context + plaintext, using: derived("ledger subject nonce 1"))
        let box = try AES.GCM.seal(
            plaintext, using: derived("ledger subject text 1"),
            nonce: AES.GCM.Nonce(data: Array(nonce)[..<Self.nonceBytes]), authenticating: context)
        let sealed = [Self.version] + box.nonce + box.ciphertext + box.tag
        return Data(sealed).base64EncodedString()
    }

    /// The subject's ID; nil where the text was not sealed with this key for this token.
    func open(subject ciphertext: String, _ token: String) -> String? {
        guard let bytes = Data(base64Encoded: ciphertext), bytes.first == Self.version,
            bytes.count > Self.nonceBytes + Self.tagBytes,
            let box = try? AES.GCM.SealedBox(combined: bytes.dropFirst()),
            let opened = try? AES.GCM.open(
                box, using: derived("ledger subject text 1"),
                authenticating: Self.context(.subject, token))
        else { return nil }
        var text = opened[...]
        while text.last == 0 { text.removeLast() }
        return String(validating: text, as: UTF8.self)
    }

    private static func context(_ use: Use, _ token: String) -> [UInt8] {
        Array(use.rawValue.utf8) + [0] + Array(token.utf8) + [0]
    }

    private func derived(_ use: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, info: Array(use.utf8), outputByteCount: 32)
    }
}

/// What finds and opens the keys of subjects: two keys that derive from the key file.
struct SubjectKeyring: Sendable {
    private let index: SymmetricKey
    private let wrapping: SymmetricKey
    /// Begins each wrapped key: a version byte and the 4 bytes that name the key file.
    let header: [UInt8]

    init(_ box: SecretBox) {
        index = box.key(for: "ledger subject index 1")
        wrapping = box.key(for: "ledger subject wrapping 1")
        header = [1] + SHA256.hash(data: Array(box.keyID.utf8)).prefix(4)
    }

    /// What the row of a subject's key is found by.
    func lookup(_ subject: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(subject.utf8), using: index))
    }

    func keyed(_ digest: Digest) -> Digest {
        let code = HMAC<SHA256>.authenticationCode(for: digest.bytes, using: index)
        return Digest(SHA256.hash(data: Array(code)))
    }

    /// - Parameter lookup: Of the row that is to hold it: a key in another's row does not open.
    func wrap(_ bytes: [UInt8], for lookup: [UInt8]) throws -> [UInt8] {
        let box = try AES.GCM.seal(bytes, using: wrapping, authenticating: lookup)
        return header + box.nonce + box.ciphertext + box.tag
    }

    func unwrap(_ wrapped: [UInt8], for lookup: [UInt8]) throws(SubjectKeysError) -> [UInt8] {
        guard wrapped.starts(with: header) else { throw .otherKeyFile }
        do {
            let box = try AES.GCM.SealedBox(combined: wrapped.dropFirst(header.count))
            return Array(try AES.GCM.open(box, using: wrapping, authenticating: lookup))
        } catch {
            throw .damaged
        }
    }
}

/// Why sealed subjects can't be told apart, or named.
package enum SubjectKeysError: Error, Sendable, Equatable, CustomStringConvertible {
    /// This node was given none.
    case noKeys
    /// The subject's key is about to be destroyed, or has been just now.
    case beingErased
    /// The keys were sealed with another key file than this one.
    case otherKeyFile
    case damaged

    package var description: String {
        switch self {
        case .noKeys:
            "This node has no keys of sealed subjects: ask the ledger that leads, or an experiment "
                + "that does not seal its subjects."
        case .beingErased: "A subject is being erased; nothing was recorded. Try again in a moment."
        case .otherKeyFile:
            "The keys of sealed subjects (ledger.subject_keys) were sealed with another key file "
                + "than --secrets-key names; start with the one that made them."
        case .damaged: "The key of a sealed subject is damaged (ledger.subject_keys)."
        }
    }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
