import ArgumentParser
import JSON

extension WebhookCommand {
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register an endpoint, and show its signing secret, this once.",
            discussion: """
                Only public addresses over https are delivered to, unless --allow names the \
                endpoint's network. The encoders segment, posthog and amplitude need --api-key.

                \(WebhookFlags.secrecy)

                Examples:
                  ledger webhook add https://example.com/hook --events AssignmentMade 'Score*'
                  ledger webhook add http://127.0.0.1:9000/ --allow 127.0.0.0/8 --events '*' \
                --encoder ndjson --batch-count 1000 --id local
                  ledger webhook add 'https://ch.example:8443/?database=ledger' --events '*' \
                --encoder clickhouse --header 'X-ClickHouse-Key: @key.txt' --from beginning --gzip
                  ledger webhook add https://us.i.posthog.com/batch/ --encoder posthog \
                --events AssignmentMade --api-key @posthog.txt
                  ledger webhook add -f webhook.yaml
                """)

        @Argument(help: ArgumentHelp("Where to deliver to.", valueName: "url"))
        var address: String?

        @Option(
            help: ArgumentHelp("The webhook's ID; without it one is made up.", valueName: "id"))
        var id: String?

        @Option(
            help: ArgumentHelp(
                "Where deliveries begin; now if nothing is said.",
                valueName: "now|beginning|position"))
        var from: String?

        @Option(
            help: ArgumentHelp(
                "hmac (if nothing is said), or ed25519, which receivers verify with a public key.",
                valueName: "kind"))
        var signature: String?

        @Option(
            help: ArgumentHelp(
                "A signing secret of your own, whsec_… or whsk_….", valueName: "secret|@file|-"))
        var secret: SecretText?

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp(
                "All of it as JSON or YAML, in a file or - for standard input.",
                valueName: "file|-"))
        var file: String?

        @OptionGroup var flags: WebhookFlags

        @OptionGroup var options: ClientOptions

        struct Answer: Decodable {
            var id: String
            var secret: String?
            var publicKey: String?
            var warnings: [String]?
            var previousUntil: String?
        }

        func validate() throws {
            try options.refuseYAML()
            if file != nil {
                let others = [address, id, from, signature, secret?.text]
                guard flags.isEmpty, others.allSatisfy({ $0 == nil }) else {
                    throw ValidationError("With --file the file says everything.")
                }
            } else if address == nil || flags.events.isEmpty {
                throw ValidationError(
                    "Give the endpoint's URL and --events, or all of it with --file.")
            }
            if let from, !["now", "beginning"].contains(from), Int64(from) == nil {
                throw ValidationError("--from is now, beginning or a position.")
            }
        }

        func run() throws {
            let details: Client.Details
            if let file {
                let documents = try Documents(paths: [file])
                details = Client.Details(contentType: documents.contentType, body: documents.bytes)
            } else {
                details = Client.Details(contentType: "application/json", body: try body())
            }
            let response = try options.client().send("POST", ["v1", "webhooks"], details)
            guard options.format == .table else { return Terminal.print(body: response.body) }
            let answer = try ServerJSON.decode(Answer.self, from: response.body)
            print("webhook/\(answer.id) created")
            answer.show()
        }

        func body() throws(CommandFailure) -> [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            writer.text("id", id)
            writer.text("url", address)
            if let position = from.flatMap({ Int64($0) }) {
                writer.key("from")
                writer.integer(position)
            } else {
                writer.text("from", from)
            }
            try flags.write(to: &writer, over: nil)
            writer.text("signature", signature)
            if let secret { writer.text("secret", try secret.read()) }
            writer.endObject()
            return writer.bytes
        }
    }

    struct Update: ParsableCommand {
        /// What can be taken away.
        enum Field: String, ExpressibleByArgument, CaseIterable {
            case filter, batch, allow, headers, gzip, ca
            case rateLimit = "rate-limit"
            case apiKey = "api-key"
            case clientCert = "client-cert"
        }

        static let configuration = CommandConfiguration(
            abstract: "Change an endpoint's settings; what is not named stays.",
            discussion: """
                Events that are being delivered go on as they are. A list (--events, --allow, \
                --header) replaces the one before.

                \(WebhookFlags.secrecy)

                Examples:
                  ledger webhook update shop --events '*' --batch-count 500 --encoder ndjson
                  ledger webhook update shop --target https://example.com/new-hook
                  ledger webhook update shop --clear rate-limit --clear headers
                  ledger webhook update shop -f changes.yaml
                """)

        @OptionGroup var target: Target

        @Option(
            name: .customLong("target"),
            help: ArgumentHelp("Where to deliver to from now on.", valueName: "url"))
        var address: String?

        @Option(
            help: ArgumentHelp(
                """
                Take this away: \(Field.allCases.map(\.rawValue).joined(separator: ", ")). May be \
                repeated.
                """, valueName: "field"))
        var clear: [Field] = []

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp(
                "The changes as JSON or YAML, in a file or - for standard input; null takes away.",
                valueName: "file|-"))
        var file: String?

        @OptionGroup var flags: WebhookFlags

        func validate() throws {
            let isEmpty = flags.isEmpty && address == nil && clear.isEmpty
            if file != nil, !isEmpty {
                throw ValidationError("With --file the file says everything.")
            }
            if file == nil, isEmpty {
                throw ValidationError("Say what to change; see ledger webhook update --help.")
            }
        }

        func run() throws {
            let client = target.options.client()
            let path = WebhookCommand.path(target.id)
            let details: Client.Details
            if let file {
                let documents = try Documents(paths: [file])
                details = Client.Details(contentType: documents.contentType, body: documents.bytes)
            } else {
                var present: WebhookAnswer?
                if flags.gives(.filter) || flags.gives(.batch) {
                    let answer = try client.send("GET", path)
                    present = try ServerJSON.decode(WebhookAnswer.self, from: answer.body)
                }
                details = Client.Details(
                    contentType: "application/json", body: try body(over: present))
            }
            let response = try client.send("PATCH", path, details)
            guard target.options.format == .table else {
                return Terminal.print(body: response.body)
            }
            let webhook = try ServerJSON.decode(WebhookAnswer.self, from: response.body)
            target.say("updated (version \(webhook.version))")
        }

        /// - Parameter present: the endpoint, where only a part of a setting changes.
        func body(over present: WebhookAnswer?) throws(CommandFailure) -> [UInt8] {
            var present = present
            if clear.contains(.filter) { present?.filter = nil }
            if clear.contains(.batch) { present?.batch = nil }
            var writer = JSONWriter()
            writer.beginObject()
            writer.text("url", address)
            try flags.write(to: &writer, over: present)
            for field in Field.allCases where clear.contains(field) && !flags.gives(field) {
                for member in field.members {
                    writer.key(member)
                    writer.null()
                }
            }
            writer.endObject()
            return writer.bytes
        }
    }

    struct RotateSecret: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-secret",
            abstract: "Sign with a new secret; the one before signs, too, for a day.",
            discussion: """
                Give receivers the new secret within that day, and no delivery fails. Rotating \
                again ends the time of the secret before the last one.

                \(WebhookFlags.secrecy)

                Examples:
                  ledger webhook rotate-secret shop
                  ledger webhook rotate-secret shop --secret @secret.txt
                  ledger webhook rotate-secret shop --signature ed25519
                """)

        @OptionGroup var target: Target

        @Option(
            help: ArgumentHelp(
                "A secret of your own, whsec_… or whsk_….", valueName: "secret|@file|-"))
        var secret: SecretText?

        @Option(help: ArgumentHelp("hmac or ed25519, as before if not given.", valueName: "kind"))
        var signature: String?

        func run() throws {
            var writer = JSONWriter()
            writer.beginObject()
            if let secret { writer.text("secret", try secret.read()) }
            writer.text("signature", signature)
            writer.endObject()
            let body = try target.send("POST", "rotate-secret", body: writer.bytes)
            guard target.options.format == .table else { return }
            let answer = try ServerJSON.decode(Add.Answer.self, from: body)
            target.say("signs with a new secret")
            if let until = answer.previousUntil {
                print("the one before signs, too, until \(until)")
            }
            answer.show()
        }
    }
}

extension WebhookCommand.Add.Answer {
    /// Prints the secret, or the key that verifies, and what is worth saying.
    fileprivate func show() {
        if let secret { print("secret: \(secret)") }
        if let publicKey { print("public key: \(publicKey)") }
        Terminal.writeError(
            secret == nil
                ? "Receivers verify with the public key; `show` does not tell it again.\n"
                : "Keep the secret now: it can't be shown again.\n")
        for warning in warnings ?? [] {
            Terminal.writeError("warning: \(Display.oneLine(warning))\n")
        }
    }
}

extension WebhookCommand.Update.Field {
    /// The members of a request that are null to take the field away.
    fileprivate var members: [StaticString] {
        switch self {
        case .filter: ["filter"]
        case .batch: ["batch"]
        case .allow: ["allow"]
        case .headers: ["headers"]
        case .gzip: ["compression"]
        case .ca: ["authorities"]
        case .rateLimit: ["rateLimit"]
        case .apiKey: ["apiKey"]
        case .clientCert: ["certificate", "privateKey"]
        }
    }
}

extension WebhookFlags {
    /// Whether they say something of a field.
    fileprivate func gives(_ field: WebhookCommand.Update.Field) -> Bool {
        switch field {
        case .filter: [lab, experiment, function].contains { $0 != nil }
        case .batch: batchCount != nil || batchBytes != nil
        case .allow: !allow.isEmpty
        case .headers: !header.isEmpty
        case .gzip: gzip != nil
        case .ca: caFile != nil
        case .rateLimit: rateLimit != nil
        case .apiKey: apiKey != nil
        case .clientCert: clientCert != nil
        }
    }
}
