import ArgumentParser
import Domain
import EventLog
import FoundationEssentials
import HTTPAPI
import Logging
import Telemetry

/// `ledger keys`: the keys that clients ask with.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and revoke the keys that clients ask with.",
        discussion: """
            Roles: a reader reads; an assigner also assigns and records scores; an editor also \
            changes resources; an admin also manages keys and webhooks and erases subjects.

            Examples:
              ledger keys create --role editor --id ci --name "the deploy job"
              ledger keys create --role admin --data-dir .ledger
              ledger keys list
              ledger keys revoke ci
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    /// What a key allows.
    enum Role: String, ExpressibleByArgument, CaseIterable {
        case admin, editor, assigner, reader
    }

    private struct Key: Decodable {
        var id: String
        var role: String
        var name: String?
        var status: String?
        var createdAt: String?
        var revokedAt: String?
        var secret: String?
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a key and show its secret, this once.",
            discussion: """
                With --database or --data-dir the key is made in that database directly, while no \
                server runs on it: the way to the first key.
                """)

        @Option(help: "What the key allows.")
        var role: Role

        @Option(help: ArgumentHelp("The key's ID; without it one is made up.", valueName: "id"))
        var id: String?

        @Option(help: ArgumentHelp("Who or what uses it.", valueName: "text"))
        var name: String?

        @OptionGroup var options: ClientOptions

        @OptionGroup var databaseOptions: DatabaseOptions

        private struct Body: Encodable {
            let id: String?
            let role: String
            let name: String?
        }

        func validate() throws {
            try options.refuseYAML()
            if let id, !KeySecret.isKeyID(id) { throw ValidationError(KeySecret.idRule) }
        }

        func run() async throws {
            if databaseOptions.database != nil || databaseOptions.dataDir != nil {
                return try await createDirectly()
            }
            let body = try JSONEncoder().encode(Body(id: id, role: role.rawValue, name: name))
            let response = try options.client().send(
                "POST", ["v1", "keys"],
                Client.Details(contentType: "application/json", body: Array(body)))
            guard options.format == .table else { return Terminal.print(body: response.body) }
            let key = try ServerJSON.decode(Key.self, from: response.body)
            show(key.id, key.secret ?? "")
        }

        private func show(_ id: String, _ secret: String) {
            print("key/\(id) created, role \(role.rawValue)")
            print("secret: \(secret)")
            Terminal.writeError("Keep the secret now: it is not stored and can't be shown again.\n")
        }

        /// Leads the database for as long as it takes to record one event.
        private func createDirectly() async throws {
            let id = id ?? KeySecret.randomHex(bytes: 4)
            let role = Domain.Role(rawValue: role.rawValue) ?? .reader
            let (secret, key) = KeySecret.make(id: id, role: role, name: name)
            try await databaseOptions.withDatabase { conninfo in
                do {
                    let log = try EventLog.lead(
                        conninfo: conninfo, readers: 1, metrics: LedgerMetrics(),
                        logger: Logger(label: "ledger"), patience: .seconds(1))
                    defer { log.stop() }
                    _ = try await log.sequencer.submit(
                        .createKey(key), CommandContext(actor: "local"))
                } catch let SequencerError.refused(refusal) {
                    throw CommandFailure(message: refusal.detail)
                } catch {
                    throw CommandFailure(message: "the key was not created: \(error)")
                }
            }
            show(id, secret)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the keys.")

        @OptionGroup var options: ClientOptions

        func validate() throws {
            try options.refuseYAML()
        }

        func run() throws {
            try Keys.printAll(options.client(), options.format, limit: nil)
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a key: from now on nobody can ask with it.")

        @Argument(help: "The key's ID.")
        var id: String

        @OptionGroup var options: ClientOptions

        func validate() throws {
            try options.refuseYAML()
            if id.isEmpty {
                throw ValidationError("The key's ID can't be empty.")
            }
        }

        func run() throws {
            let response = try options.client().send("DELETE", ["v1", "keys", id])
            if options.format == .json {
                if !response.body.isEmpty { Terminal.print(body: response.body) }
            } else {
                print("key/\(id) revoked")
            }
        }
    }

    static func printAll(_ client: Client, _ format: OutputFormat, limit: Limit?) throws {
        var table = Table(["id", "role", "name", "created", "revoked"])
        try client.pages(of: Key.self, ["v1", "keys"], limit: limit?.count) { response, page in
            guard format == .table else { return Terminal.print(body: response.body) }
            table.print(
                page.items.map { key in
                    [
                        Table.Cell(key.id), Table.Cell(key.role), Table.Cell(key.name ?? ""),
                        Table.Cell(key.createdAt ?? ""),
                        Table.Cell(key.revokedAt ?? (key.status == "revoked" ? "yes" : "")),
                    ]
                })
        }
    }
}
