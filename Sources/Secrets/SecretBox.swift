import Crypto
import FoundationEssentials

/// Seals the secrets of endpoints, so that a copy of the database alone reveals none.
///
/// AES-256-GCM with a key from a file beside the database. A sealed text is
///
///     KEYID.BASE64(version ‖ nonce ‖ ciphertext ‖ tag)
///
/// with version = 1, 12 bytes of nonce and 16 of tag. The key ID tells a wrong key file from a
/// broken text. The context is authenticated but not kept: what was sealed for one endpoint does
/// not open for another.
package struct SecretBox: Sendable {
    /// The first 4 bytes of the key's SHA-256 in hexadecimal; says nothing of the key itself.
    package let keyID: String
    private let key: SymmetricKey

    private static let version: UInt8 = 1
    private static let nonceBytes = 12
    private static let tagBytes = 16

    /// Reads the key file.
    ///
    /// - Parameter createIfMissing: Whether to make a file with a new random key where there is
    ///   none. Never over one that is there.
    package init(keyFile path: String, createIfMissing: Bool = false) throws(SecretBoxError) {
        let file = KeyFile(path: path)
        if createIfMissing { try file.createIfMissing() }
        self.init(key: try file.read())
    }

    /// A box with a key that is kept elsewhere.
    package init(key: SymmetricKey) {
        self.key = key
        keyID = key.withUnsafeBytes { SHA256.hash(data: $0) }.prefix(4)
            .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// A key for another use, which reveals neither this key nor those of other uses.
    package func key(for use: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, info: Array(use.utf8), outputByteCount: 32)
    }

    /// Seals bytes under a nonce of their own; `context` says what they are for, as in
    /// `webhook/ID/secret`.
    package func seal(
        _ plaintext: [UInt8], for context: String
    ) throws(SecretBoxError) -> String {
        do {
            let box = try AES.GCM.seal(plaintext, using: key, authenticating: Array(context.utf8))
            let sealed = [Self.version] + box.nonce + box.ciphertext + box.tag
            return "\(keyID).\(Data(sealed).base64EncodedString())"
        } catch {
            throw .cannotSeal("\(error)")
        }
    }

    /// What ``seal(_:for:)`` sealed for the same context.
    package func open(_ sealed: String, for context: String) throws(SecretBoxError) -> [UInt8] {
        let parts = sealed.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let bytes = Data(base64Encoded: String(parts[1])),
            bytes.count > Self.nonceBytes + Self.tagBytes, bytes.first == Self.version
        else { throw .broken(context: context) }
        guard parts[0] == keyID else {
            throw .wrongKey(sealedWith: String(parts[0]), present: keyID)
        }
        do {
            let box = try AES.GCM.SealedBox(combined: bytes.dropFirst())
            return Array(try AES.GCM.open(box, using: key, authenticating: Array(context.utf8)))
        } catch {
            throw .broken(context: context)
        }
    }
}

/// Why a secret can't be sealed or opened; the description is for the ledger's operator.
package enum SecretBoxError: Error, Sendable, Equatable, CustomStringConvertible {
    case keyFileMissing(path: String)
    /// With the permission bits it has.
    case keyFileOpenToOthers(path: String, mode: UInt32)
    case keyFileMalformed(path: String)
    /// The operating system refused; with its reason.
    case keyFileUnusable(path: String, reason: String)
    case cannotSeal(String)
    case wrongKey(sealedWith: String, present: String)
    /// The text was altered, or sealed for something else.
    case broken(context: String)

    package var description: String {
        switch self {
        case .keyFileMissing(let path): "There is no key file \(path)."
        case .keyFileOpenToOthers(let path, let mode):
            "Others can use the key file \(path) (mode \(String(mode, radix: 8))): "
                + "run chmod 600 \(path)."
        case .keyFileMalformed(let path):
            "\(path) is not a key file: it holds one line, \(KeyFile.tag) and 32 bytes as base64."
        case .keyFileUnusable(let path, let reason):
            "The key file \(path) can't be used: \(reason)."
        case .cannotSeal(let reason): "A secret could not be sealed: \(reason)."
        case .wrongKey(let sealedWith, let present):
            "The secrets were sealed with another key file: key \(sealedWith), "
                + "and this is key \(present)."
        case .broken(let context): "The sealed secret of \(context) is damaged."
        }
    }
}
