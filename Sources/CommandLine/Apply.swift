import ArgumentParser

/// `ledger apply`: makes the ledger's resources what files say.
struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make labs, subject types and experiments what the files say.",
        discussion: """
            All files are applied together, or none of them. What is the same already is left \
            alone, so applying twice records nothing the second time.

            Examples:
              ledger apply -f hero.yaml
              ledger apply -f experiments/ --dry-run
              cat hero.yaml | ledger apply -f -
              ledger apply -f hero.yaml --reopen --reason "ended by mistake"
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "A YAML or JSON file, a folder of them, or - for standard input. May be repeated.",
            valueName: "file|dir|-"))
    var file: [String]

    @Flag(help: "Show what would be recorded, and record nothing.")
    var dryRun = false

    @Flag(help: "Allow an experiment to go back in its lifecycle; needs --reason.")
    var reopen = false

    @Option(help: ArgumentHelp("Why an experiment goes back.", valueName: "text"))
    var reason: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        try options.refuseYAML()
        if reopen != (reason != nil) {
            throw ValidationError("--reopen and --reason need each other.")
        }
    }

    func run() throws {
        let documents = try Documents(paths: file)
        let response = try options.client().send(
            "PUT", ["v1", "resources"],
            Client.Details(
                query: [
                    ("dryRun", dryRun ? "true" : nil), ("reopen", reopen ? "true" : nil),
                    ("reason", reason),
                ],
                contentType: documents.contentType, body: documents.bytes))
        if options.format == .json {
            return Terminal.print(body: response.body)
        }
        let applied = try ServerJSON.decode(Applied.self, from: response.body)
        for resource in applied.resources {
            print(resource.line(isDryRun: dryRun))
        }
        if dryRun {
            printEvents(applied.events ?? [])
        }
    }

    private func printEvents(_ events: [Applied.Event]) {
        guard !events.isEmpty else { return print("\nNothing would be recorded.") }
        print("\nWould record:")
        for event in events {
            print("  \(event.type)  \(Display.oneLine(event.stream))")
            guard case .object(let members)? = event.data else { continue }
            for (name, value) in JSONValue.sorted(members) where value != .null {
                print("    \(name): \(Display.oneLine(value.description))")
            }
        }
    }
}

/// What an apply did.
private struct Applied: Decodable {
    struct Outcome: Decodable {
        var kind: String
        var id: String
        var action: String
        var resourceVersion: Int?

        func line(isDryRun: Bool) -> String {
            let version = resourceVersion.map { " (version \($0))" } ?? ""
            let text = "\(kind)/\(id) \(isDryRun ? "would be \(action)" : action)\(version)"
            guard Terminal.isColourful else { return text }
            let style: Style =
                switch action {
                case "created": .green
                case "updated": .yellow
                default: .dim
                }
            return style.apply(to: text)
        }
    }

    struct Event: Decodable {
        var stream: String
        var type: String
        var data: JSONValue?
    }

    var resources: [Outcome]
    var events: [Event]?
}
