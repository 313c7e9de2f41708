import JSON
import Secrets

/// What of an endpoint's settings nobody should read.
package struct EndpointSecrets: Sendable, Equatable {
    /// Headers that are sent along.
    package var headers: [(name: String, value: String)] = []
    /// What the receiver knows the sender by, where the encoder puts it in the body.
    package var apiKey: String?
    /// PEM of the key of the certificate that the ledger shows.
    package var privateKey: String?

    package init() {}

    package var isEmpty: Bool { headers.isEmpty && apiKey == nil && privateKey == nil }

    package static func == (left: Self, right: Self) -> Bool { left.bytes == right.bytes }

    /// As JSON, which is then sealed.
    private var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("headers")
        writer.beginObject()
        for header in headers {
            writer.key(header.name)
            writer.string(header.value)
        }
        writer.endObject()
        writer.key("apiKey")
        writer.string(orNull: apiKey)
        writer.key("privateKey")
        writer.string(orNull: privateKey)
        writer.endObject()
        return writer.bytes
    }

    /// Nil where there is nothing to keep.
    package func sealed(for webhook: String, in box: SecretBox) throws(SecretBoxError) -> String? {
        isEmpty ? nil : try box.seal(bytes, for: Self.context(webhook))
    }

    package init(
        sealed: String?, for webhook: String, in box: SecretBox
    ) throws(SecretBoxError) {
        guard let sealed else { return }
        let context = Self.context(webhook)
        guard let json = try? JSONValue.parse(try box.open(sealed, for: context)) else {
            throw .broken(context: context)
        }
        headers = (json["headers"]?.object ?? []).compactMap { member in
            member.value.string.map { (member.key, $0) }
        }
        apiKey = json["apiKey"]?.string
        privateKey = json["privateKey"]?.string
    }

    private static func context(_ webhook: String) -> String { "webhook/\(webhook)/settings" }
}

extension WebhookSecret {
    package func sealed(for webhook: String, in box: SecretBox) throws(SecretBoxError) -> String {
        try box.seal(Array(text.utf8), for: Self.context(webhook))
    }

    /// Opens a secret that was sealed for the endpoint.
    package init(sealed: String, for webhook: String, in box: SecretBox) throws {
        try self.init(
            String(decoding: try box.open(sealed, for: Self.context(webhook)), as: UTF8.self))
    }

    private static func context(_ webhook: String) -> String { "webhook/\(webhook)/secret" }
}
