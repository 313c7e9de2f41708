import Crypto
import Domain
import FoundationEssentials

/// A key that signs deliveries, in the forms of Standard Webhooks 1.0.0.
package struct WebhookSecret: Sendable {
    enum Key: Sendable {
        /// The hash has read the key already, so that a signature starts from a copy.
        case hmac(SymmetricKey, prepared: HMAC<SHA256>)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    let key: Key

    private static let hmacPrefix = "whsec_"
    private static let privatePrefix = "whsk_"
    private static let publicPrefix = "whpk_"

    /// Bytes of an HMAC secret (Standard Webhooks, “Signature scheme”: 192 to 512 bits).
    private static let hmacBytes = 24...64
    /// Bytes of a seed, and of a public key.
    private static let ed25519HalfBytes = 32

    /// A new random key.
    package init(generating kind: WebhookSignatureKind) {
        switch kind {
        case .hmac: key = Self.prepared(SymmetricKey(size: .bits256))
        case .ed25519: key = .ed25519(Curve25519.Signing.PrivateKey())
        }
    }

    private static func prepared(_ secret: SymmetricKey) -> Key {
        .hmac(secret, prepared: HMAC(key: secret))
    }

    /// Reads `whsec_…` or `whsk_…`; errors name what is wrong and never the key.
    package init(_ text: String) throws(WebhookSecretError) {
        if text.hasPrefix(Self.hmacPrefix) {
            let bytes = try Self.decoded(text.dropFirst(Self.hmacPrefix.count))
            guard Self.hmacBytes.contains(bytes.count) else {
                throw .init("A whsec_ secret holds 24 to 64 bytes; this one holds \(bytes.count).")
            }
            key = Self.prepared(SymmetricKey(data: bytes))
        } else if text.hasPrefix(Self.privatePrefix) {
            let bytes = try Self.decoded(text.dropFirst(Self.privatePrefix.count))
            key = .ed25519(try Self.privateKey(bytes))
        } else if text.hasPrefix(Self.publicPrefix) {
            throw .init("A whpk_ key only verifies; signing takes the whsk_ key.")
        } else {
            throw .init("A signing secret begins with whsec_ or whsk_.")
        }
    }

    private static func decoded(_ base64: Substring) throws(WebhookSecretError) -> Data {
        guard let bytes = Data(base64Encoded: String(base64)) else {
            throw .init("What follows the prefix of a signing secret is base64; this is not.")
        }
        return bytes
    }

    /// The seed, followed by the public key it leads to.
    private static func privateKey(
        _ bytes: Data
    ) throws(WebhookSecretError) -> Curve25519.Signing.PrivateKey {
        guard bytes.count == 2 * ed25519HalfBytes,
            let key = try? Curve25519.Signing.PrivateKey(
                rawRepresentation: bytes.prefix(ed25519HalfBytes))
        else { throw .init("A whsk_ key holds 64 bytes; this one holds \(bytes.count).") }
        guard key.publicKey.rawRepresentation == bytes.suffix(ed25519HalfBytes) else {
            throw .init("The two halves of the whsk_ key don't belong together.")
        }
        return key
    }

    package var kind: WebhookSignatureKind {
        switch key {
        case .hmac: .hmac
        case .ed25519: .ed25519
        }
    }

    /// The secret itself, as ``init(_:)`` reads it.
    package var text: String {
        switch key {
        case .hmac(let secret, _):
            Self.hmacPrefix + secret.withUnsafeBytes { Data($0) }.base64EncodedString()
        case .ed25519(let key):
            Self.privatePrefix
                + (key.rawRepresentation + key.publicKey.rawRepresentation).base64EncodedString()
        }
    }

    /// `whpk_…`, for receivers; nil for an HMAC secret, which has no public half.
    package var publicText: String? {
        guard case .ed25519(let key) = key else { return nil }
        return Self.publicPrefix + key.publicKey.rawRepresentation.base64EncodedString()
    }
}

/// A text is not a signing secret.
package struct WebhookSecretError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
