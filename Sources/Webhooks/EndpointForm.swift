import Curl
import Domain
import Secrets

/// An endpoint's settings, ready to be used: the secrets opened, the encoder made.
final class EndpointForm {
    let encoder: any EventEncoder
    let keys: SigningKeys
    let options: Target.Options
    let permits: @Sendable (IPAddress) -> Bool
    let batchCountMax: Int
    let batchBytesMax: Int
    /// Host and port of the URL: what requests share.
    let host: String
    /// The same for endpoints whose bodies are the same.
    let bodyForm: String
    let compresses: Bool

    /// Requests in flight at once, where each carries one event.
    private static let singlesMax = 128
    /// Requests in flight at once, where batches form: few, so that they do.
    private static let batchesMax = 4
    private static let batchCountDefault = 500
    private static let batchBytesDefault = 512 << 10

    let concurrencyMax: Int

    /// - Parameters:
    ///   - source: which program the events come from.
    ///   - timeout: for a whole request.
    init(
        _ webhook: Webhook, secrets box: SecretBox, source: String, timeout: Duration
    ) throws {
        let settings = webhook.settings
        let secrets = try EndpointSecrets(sealed: settings.sealed, for: webhook.id, in: box)
        guard let type = Encoders.named(settings.encoder) else {
            throw EncoderSettingsError(description: "There is no encoder \(settings.encoder).")
        }
        encoder = try type.init(EncoderSettings(apiKey: secrets.apiKey, source: source))
        keys = try SigningKeys(webhook, secrets: box)
        let limits = encoder.limits
        batchCountMax = min(limits.countMax, settings.batchCountMax ?? Self.batchCountDefault)
        batchBytesMax = min(limits.bytesMax, settings.batchBytesMax ?? Self.batchBytesDefault)
        let url = URLParts(settings.url)
        host = "\(url?.host ?? ""):\(url?.port ?? 0)"
        compresses = settings.compressesBodies
        bodyForm = "\(settings.encoder) \(compresses) \(secrets.apiKey ?? "")"
        concurrencyMax =
            settings.mode == .strict
            ? 1 : batchCountMax == 1 ? Self.singlesMax : Self.batchesMax
        options = Self.options(settings, secrets, encoder, timeout)
        let rules = try AddressRules(settings)
        permits = { rules.permits($0) }
    }

    private static func options(
        _ settings: WebhookSettings, _ secrets: EndpointSecrets, _ encoder: any EventEncoder,
        _ timeout: Duration
    ) -> Target.Options {
        var options = Target.Options(url: settings.url)
        options.timeoutMilliseconds = Int(timeout.microseconds / 1_000)
        options.fixedHeaders = [
            Header("Content-Type", encoder.contentType), Header("User-Agent", "ledger-webhooks/1"),
        ]
        if settings.compressesBodies {
            options.fixedHeaders.append(Header("Content-Encoding", "gzip"))
        }
        options.fixedHeaders += secrets.headers.map { Header($0.name, $0.value) }
        options.caPEM = settings.authorities.map { Array($0.utf8) }
        options.certificatePEM = settings.certificate.map { Array($0.utf8) }
        options.keyPEM = secrets.privateKey.map { Array($0.utf8) }
        return options
    }
}

extension SigningKeys {
    init(_ webhook: Webhook, secrets box: SecretBox) throws {
        self.init(current: try WebhookSecret(sealed: webhook.secret, for: webhook.id, in: box))
        if let old = webhook.previousSecret {
            previous = try WebhookSecret(sealed: old.sealed, for: webhook.id, in: box)
            previousUntil = old.until
        }
    }
}

extension AddressRules {
    /// Public addresses, and those the endpoint names; without TLS the latter alone.
    package init(_ settings: WebhookSettings) throws {
        let networks = try settings.allow.map { text in
            guard let network = Network(text) else {
                throw EncoderSettingsError(
                    description: "\(text) is no network; write 10.0.0.0/8 or fd00::/8.")
            }
            return network
        }
        self.init(
            allowed: networks, requiresAllowed: URLParts(settings.url)?.scheme != "https")
    }
}
