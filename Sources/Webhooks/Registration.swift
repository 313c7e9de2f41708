import Curl
import Domain
import JSON

/// An endpoint as someone wants it, read and checked.
package struct Registration: Sendable {
    package var settings: WebhookSettings
    package var secrets: EndpointSecrets
    /// The signing secret, where the owner brings one.
    package var signingSecret: WebhookSecret?
    /// What is not wrong and yet worth saying.
    package var warnings: [String] = []

    /// Members of a request beside the settings.
    private static let secretKeys = ["apiKey", "privateKey", "secret"]

    /// Reads the body of a registration; throws a ``Refusal`` that names all that is wrong with it.
    ///
    /// It looks the URL's host up, which blocks the thread.
    ///
    /// - Parameter others: members that the caller reads.
    package init(_ body: JSONValue, others: [String] = []) throws(Refusal) {
        try self.init(body, keeping: EndpointSecrets(), others: others)
    }

    /// Reads changes to an endpoint: members that are given replace what was, `null` takes it away.
    package init(
        _ changes: JSONValue, to webhook: Webhook, secrets: EndpointSecrets
    ) throws(Refusal) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.members(of: webhook.settings)
        writer.endObject()
        guard let changed = changes.object,
            let before = (try? JSONValue.parse(writer.bytes))?.object
        else { throw .invalid([Problem("", "Expected an object.")]) }
        var members = before.filter { old in
            old.key != "headers" && !changed.contains { $0.key == old.key }
        }
        members += changed
        try self.init(.object(members), keeping: secrets, others: [])
    }

    private init(
        _ body: JSONValue, keeping known: EndpointSecrets, others: [String]
    ) throws(Refusal) {
        let problems = Problems()
        let reader = DocumentReader(body, "", problems)
        reader.allow(
            WebhookSettings.keys.filter { $0 != "sealed" } + Self.secretKeys + others)
        guard let settings = WebhookSettings(reader) else { throw .invalid(problems.list) }
        self.settings = settings
        secrets = known
        readSecrets(body, reader)
        self.settings.headers = secrets.headers.map(\.name)
        checkEncoder(reader)
        checkCertificate(reader)
        checkURL(reader)
        guard problems.list.isEmpty else { throw .invalid(problems.list) }
    }

    // MARK: Secrets

    private mutating func readSecrets(_ body: JSONValue, _ reader: DocumentReader) {
        if let headers = body["headers"] {
            secrets.headers = []
            for member in headers.object ?? [] { addHeader(member, reader) }
            if headers.object == nil, !headers.isNull {
                reader.problem("headers", "headers: give an object of names and values.")
            }
            if secrets.headers.count > Limits.webhookHeadersMax {
                reader.problem("headers", "At most \(Limits.webhookHeadersMax) are allowed.")
            }
        }
        if body["apiKey"] != nil {
            secrets.apiKey = reader.text("apiKey", max: Limits.webhookHeaderBytesMax)
        }
        if body["privateKey"] != nil {
            secrets.privateKey = reader.text("privateKey", max: Limits.webhookPEMBytesMax)
        }
        if let text = reader.text("secret", max: Limits.webhookHeaderBytesMax) {
            do throws(WebhookSecretError) { signingSecret = try WebhookSecret(text) } catch {
                reader.problem("secret", "\(error)")
            }
        }
        if let signingSecret, signingSecret.kind != settings.signature {
            reader.problem(
                "secret", "The secret does not fit signature \(settings.signature.rawValue).")
        }
    }

    private mutating func addHeader(_ member: JSONValue.Member, _ reader: DocumentReader) {
        let name = member.key.lowercased()
        guard Self.allows(header: name) else {
            reader.problem(
                "headers",
                "The header \(member.key) can't be set; allowed are Authorization, Api-Key and "
                    + "names that begin with X-.")
            return
        }
        guard let value = member.value.string, value.utf8.count <= Limits.webhookHeaderBytesMax,
            value.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else {
            reader.problem(
                "headers",
                "The value of \(member.key) has to be printable ASCII, without line breaks, of at "
                    + "most \(Limits.webhookHeaderBytesMax) bytes.")
            return
        }
        secrets.headers.append((member.key, value))
    }

    private static func allows(header name: String) -> Bool {
        let isName = name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        return isName && (["authorization", "api-key"].contains(name) || name.hasPrefix("x-"))
    }

    // MARK: Checks

    private func checkEncoder(_ reader: DocumentReader) {
        guard let type = Encoders.named(settings.encoder) else {
            let known = Encoders.all.map { $0.name }.joined(separator: ", ")
            reader.problem(
                "encoder",
                "There is no encoder \(settings.encoder.prefix(140)); use one of \(known).")
            return
        }
        do throws(EncoderSettingsError) {
            let encoder = try type.init(
                EncoderSettings(apiKey: secrets.apiKey, source: Dispatcher.source))
            let isOfUse = LedgerEvent.types.contains {
                settings.selects(type: $0) && encoder.carries($0)
            }
            if !isOfUse, !settings.events.isEmpty {
                let carried = LedgerEvent.types.filter { encoder.carries($0) }
                reader.problem(
                    "events",
                    "The encoder \(settings.encoder) sends only \(carried.joined(separator: ", "))."
                )
            }
        } catch { reader.problem("apiKey", "\(error)") }
    }

    private func checkCertificate(_ reader: DocumentReader) {
        if (settings.certificate == nil) != (secrets.privateKey == nil) {
            reader.problem(
                "certificate", "A client certificate takes both certificate and privateKey.")
        }
        let texts = [
            ("authorities", settings.authorities), ("certificate", settings.certificate),
            ("privateKey", secrets.privateKey),
        ]
        for (name, text) in texts {
            if let text, !text.contains("-----BEGIN ") {
                reader.problem(name, "\(name): give the PEM text itself, not a file's name.")
            }
        }
    }

    private mutating func checkURL(_ reader: DocumentReader) {
        guard let url = URLParts(settings.url), !settings.url.contains("#") else {
            reader.problem("url", "url: give an http or https URL with a host.")
            return
        }
        if url.hasUserInfo {
            reader.problem("url", "Leave user and password out of the URL; use headers.")
        }
        for (index, network) in settings.allow.enumerated() where Network(network) == nil {
            reader.problem(
                "allow", at: index, "\(network.prefix(64)) is no network; write 10.0.0.0/8.")
        }
        guard let rules = try? AddressRules(settings) else { return }
        if url.scheme == "http", settings.allow.isEmpty {
            reader.problem(
                "url",
                "http sends everything in the clear: use https, or name the endpoint's own network "
                    + "in allow, such as 127.0.0.0/8.")
            return
        }
        checkAddresses(of: url, rules, reader)
    }

    private mutating func checkAddresses(
        of url: URLParts, _ rules: AddressRules, _ reader: DocumentReader
    ) {
        var addresses = [url.address].compactMap { $0 }
        if addresses.isEmpty {
            do throws(CurlError) {
                addresses = try Resolver.addresses(of: url.host, port: url.port)
            } catch {
                // It may come to be; every connection is checked anyway.
                warnings.append("\(url.host) has no address now.")
            }
        }
        for address in addresses {
            guard let reason = rules.reasonAgainst(address) else { continue }
            reader.problem(
                "url",
                "\(url.host) can't be delivered to: \(reason). Name the network in allow if it is "
                    + "meant.")
            return
        }
    }
}
