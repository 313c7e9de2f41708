import ArgumentParser
import FoundationEssentials

/// `ledger keys`: the keys that clients ask with.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and revoke the keys that clients ask with.",
        discussion: """
            Roles: a reader reads; an assigner also assigns and records scores; an editor also \
            changes resources; an admin also manages keys and webhooks.

            Examples:
              ledger keys create --role editor --id ci --name "the deploy job"
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

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a key and show its secret, this once.")

        @Option(help: "What the key allows.")
        var role: Role

        @Option(help: ArgumentHelp("The key's ID; without it one is made up.", valueName: "id"))
        var id: String?

        @Option(help: ArgumentHelp("Who or what uses it.", valueName: "text"))
        var name: String?

        @OptionGroup var options: ClientOptions

        private struct Body: Encodable {
            let id: String?
            let role: String
            let name: String?
        }

        func validate() throws {
            try options.refuseYAML()
        }

        func run() throws {
            let body = try JSONEncoder().encode(Body(id: id, role: role.rawValue, name: name))
            let response = try options.client().send(
                "POST", ["v1", "keys"],
                Client.Details(contentType: "application/json", body: Array(body)))
            guard options.format == .table else { return Terminal.print(body: response.body) }
            let key = try ServerJSON.decode(Key.self, from: response.body)
            print("key/\(key.id) created, role \(key.role)")
            print("secret: \(key.secret ?? "")")
            Terminal.writeError("Keep the secret now: it is not stored and can't be shown again.\n")
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
