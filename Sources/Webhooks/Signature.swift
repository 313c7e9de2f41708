import Crypto
import Domain
import FoundationEssentials

/// Signatures of Standard Webhooks 1.0.0 over `id.timestamp.body`.
extension WebhookSecret {
    /// One signature, as in `v1,K5oZ…`.
    ///
    /// - Parameters:
    ///   - id: The `webhook-id`, the same for every attempt; without a dot.
    ///   - timestamp: The `webhook-timestamp`: the attempt's, in seconds since 1970.
    ///   - body: Before compression.
    package func signature(
        id: String, timestamp: Int64, body: [UInt8]
    ) throws(SigningError) -> String {
        let head = Array("\(id).\(timestamp).".utf8)
        switch key {
        case .hmac(_, var hash):
            hash.update(data: head)
            hash.update(data: body)
            return "v1," + Data(hash.finalize()).base64EncodedString()
        case .ed25519(let key):
            do {
                let signature = try key.signature(for: head + body)
                return "v1a," + signature.base64EncodedString()
            } catch {
                throw SigningError(description: "Ed25519 could not sign: \(error)")
            }
        }
    }
}

/// A key did not sign.
package struct SigningError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// The keys of an endpoint: while it changes from one to the next, both sign.
package struct SigningKeys: Sendable {
    package var current: WebhookSecret
    package var previous: WebhookSecret?
    /// The moment from which the previous key signs no more.
    package var previousUntil: Timestamp

    package init(
        current: WebhookSecret, previous: WebhookSecret? = nil,
        previousUntil: Timestamp = Timestamp(microseconds: 0)
    ) {
        self.current = current
        self.previous = previous
        self.previousUntil = previousUntil
    }

    /// The value of `webhook-signature`: the current key's signature, and while the key is being
    /// rotated the old one's after a space.
    package func header(
        id: String, timestamp: Int64, body: [UInt8]
    ) throws(SigningError) -> String {
        let signature = try current.signature(id: id, timestamp: timestamp, body: body)
        guard let previous, timestamp < previousUntil.microseconds / 1_000_000 else {
            return signature
        }
        return signature + " " + (try previous.signature(id: id, timestamp: timestamp, body: body))
    }
}
