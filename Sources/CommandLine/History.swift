import ArgumentParser

/// `ledger history`: who changed what, and when.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who changed what, when, and what it was before.",
        discussion: """
            Without an argument it shows the whole ledger's audit trail.

            Examples:
              ledger history HERO
              ledger history lab/GROWTH
              ledger history --limit 20 -o json
            """)

    @Argument(
        help: ArgumentHelp(
            "An experiment, or lab/ID, subjecttype/ID or experiment/ID.", valueName: "entity"))
    var entity: String?

    @Option(help: ArgumentHelp("At most so many entries.", valueName: "number"))
    var limit: Limit?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        try options.refuseYAML()
        _ = try path()
    }

    func run() throws {
        var isFirst = true
        try options.client().pages(of: Entry.self, path(), limit: limit?.count) { response, page in
            guard options.format == .table else { return Terminal.print(body: response.body) }
            for entry in page.items {
                print((isFirst ? "" : "\n") + entry.text(isColourful: Terminal.isColourful))
                isFirst = false
            }
        }
    }

    func path() throws -> [String] {
        guard let entity else { return ["v1", "audit"] }
        let parts = entity.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let kind = parts.count == 1 ? "experiment" : parts[0].lowercased()
        guard ["experiment", "lab", "subjecttype"].contains(kind), let id = parts.last, !id.isEmpty
        else {
            throw ValidationError(
                "'\(entity)' is none of an experiment's ID, experiment/ID, lab/ID, subjecttype/ID.")
        }
        return ["v1", kind + "s", String(id), "history"]
    }

    /// One change.
    struct Entry: Decodable {
        var position: Int
        var at: String
        var actor: String
        var type: String
        var entity: String?
        var stream: String
        var summary: String?
        var before: JSONValue?
        var after: JSONValue?

        /// When, who, what, and each field before and after.
        func text(isColourful: Bool) -> String {
            func styled(_ text: String, _ style: Style) -> String {
                let text = Display.oneLine(text)
                return isColourful ? style.apply(to: text) : text
            }
            let head = [
                styled("\(at)  #\(position)", .dim), styled(actor, .plain), styled(type, .bold),
                styled(entity ?? stream, .plain),
            ]
            var lines = [head.joined(separator: "  ")]
            if let summary, !summary.isEmpty {
                lines.append("  " + styled(summary, .plain))
            }
            for change in Difference.between(before ?? .null, after ?? .null) {
                let label = change.path.isEmpty ? "" : change.path + ": "
                var parts: [String] = []
                if let before = change.before { parts.append(styled("\(before)", .red)) }
                if let after = change.after {
                    parts.append((parts.isEmpty ? "" : "→ ") + styled("\(after)", .green))
                } else {
                    parts.append("→ (none)")
                }
                lines.append("    \(Display.oneLine(label))\(parts.joined(separator: " "))")
            }
            return lines.joined(separator: "\n")
        }
    }
}
