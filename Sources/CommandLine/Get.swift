import ArgumentParser

/// `ledger get`: shows what the ledger holds, now or at an earlier time.
struct Get: ParsableCommand {
    /// What can be shown.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case labs, subjecttypes, experiments, assignments, keys

        init?(argument: String) {
            let name = argument.lowercased()
            self.init(rawValue: name.hasSuffix("s") ? name : name + "s")
        }
    }

    static let configuration = CommandConfiguration(
        abstract: "Show labs, subject types, experiments, assignments or keys.",
        discussion: """
            Everything but keys can be shown as it was: --as-of takes a position of the log or a \
            time.

            Examples:
              ledger get experiments --status active
              ledger get experiments HERO
              ledger get experiments HERO -o yaml > hero.yaml
              ledger get experiments --as-of 2026-01-31T12:00:00Z
              ledger get assignments HERO --limit 20
              ledger get assignments --subject user_1
            """)

    @Argument(help: "What to show.")
    var kind: Kind

    @Argument(
        help: ArgumentHelp(
            "One lab, subject type or experiment; for assignments, the experiment.",
            valueName: "id"))
    var id: String?

    @Option(
        help: ArgumentHelp("Show it as of this position or time.", valueName: "position|time"))
    var asOf: String?

    @Option(help: ArgumentHelp("Only experiments of this lab.", valueName: "id"))
    var lab: String?

    @Option(
        help: ArgumentHelp(
            "Only this status: draft, active, winner_declared, ended or archived.",
            valueName: "status"))
    var status: String?

    @Option(help: ArgumentHelp("The assignments of this subject.", valueName: "subject"))
    var subject: String?

    @Option(help: ArgumentHelp("At most so many.", valueName: "number"))
    var limit: Limit?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if lab != nil || status != nil, kind != .experiments || id != nil {
            throw ValidationError("--lab and --status are for 'get experiments'.")
        }
        if kind == .assignments, (id == nil) == (subject == nil) {
            throw ValidationError("Name an experiment, or a subject with --subject.")
        }
        if kind != .assignments, subject != nil {
            throw ValidationError("--subject is for 'get assignments'.")
        }
        if kind == .keys, id != nil || asOf != nil {
            throw ValidationError("'get keys' takes neither an ID nor --as-of.")
        }
        if kind == .assignments || kind == .keys {
            try options.refuseYAML()
        }
        if id?.isEmpty == true || subject?.isEmpty == true {
            throw ValidationError("An ID can't be empty.")
        }
    }

    func run() throws {
        let client = options.client()
        switch kind {
        case .keys:
            try Keys.printAll(client, options.format, limit: limit)
        case .assignments:
            try AssignmentList(asOf: asOf, limit: limit, format: options.format)
                .print(client, experiment: id, subject: subject)
        case .labs, .subjecttypes, .experiments:
            if let id {
                try printOne(client, id)
            } else {
                try printList(client)
            }
        }
    }

    private func printOne(_ client: Client, _ id: String) throws {
        let response = try client.send(
            "GET", ["v1", kind.rawValue, id],
            Client.Details(
                query: [("asOf", asOf)],
                accept: options.format == .yaml ? "application/yaml" : "application/json"))
        guard options.format == .table else { return Terminal.print(body: response.body) }
        ResourceView(try ServerJSON.decode(Resource.self, from: response.body)).print()
    }

    private func printList(_ client: Client) throws {
        var table = ResourceTable(showsLab: kind == .experiments)
        var count = 0
        try client.pages(
            of: Resource.self, ["v1", kind.rawValue],
            query: [("lab", lab), ("status", status), ("asOf", asOf)], limit: limit?.count
        ) { response, page in
            switch options.format {
            case .json: Terminal.print(body: response.body)
            case .table: table.print(page.items)
            case .yaml:
                for resource in page.items {
                    try printDocument(client, resource, page.position, isFirst: count == 0)
                    count += 1
                }
            }
        }
    }

    /// Asks for one resource of a list in YAML, as of the list's own position.
    private func printDocument(
        _ client: Client,
        _ resource: Resource,
        _ position: Int?,
        isFirst: Bool
    ) throws {
        let response = try client.send(
            "GET", ["v1", kind.rawValue, resource.metadata.id],
            Client.Details(
                query: [("asOf", asOf ?? position.map(String.init))], accept: "application/yaml"))
        if !isFirst, !response.body.starts(with: "---".utf8) {
            print("---")
        }
        Terminal.print(body: response.body)
    }
}
