import ArgumentParser
import EventLog
import Glibc

/// `ledger import`: fills an empty ledger with an export.
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fill an empty ledger with the events of an export.",
        discussion: """
            All events are taken or none: every line is checked, and the whole against the root \
            in FILE.tree or the one given with --root. No server may run on the database.

            Examples:
              ledger import ledger.ndjson
              zstdcat ledger.ndjson.zst | ledger import - --root "$ROOT"
            """)

    @Argument(help: ArgumentHelp("The export, or - for standard input.", valueName: "file"))
    var file: String

    @Option(
        help: ArgumentHelp("The root hash to expect, in hex or base64.", valueName: "hash"))
    var root: String?

    @OptionGroup var database: DatabaseOptions

    func validate() throws {
        if let root, Digest(text: root) == nil {
            throw ValidationError("'\(root)' is not a SHA-256 hash in hex or base64.")
        }
    }

    func run() async throws {
        let expected = root.flatMap { Digest(text: $0) }
        try await database.withDatabase { conninfo in
            let bar = ProgressBar(label: "import", unit: "events")
            let progress: LogProgress = { bar.update($0, of: $1) }
            let report =
                if file == "-" {
                    try LogImport.run(
                        conninfo: conninfo, from: STDIN_FILENO, expectedRoot: expected,
                        progress: progress)
                } else {
                    try LogImport.run(
                        conninfo: conninfo, fromFile: file, expectedRoot: expected,
                        progress: progress)
                }
            bar.finish()
            print(
                "Imported \(grouped(report.tree.size)) events in "
                    + "\(speed(Int(report.tree.size), report.duration)), "
                    + "root \(report.tree.root.base64).")
        }
    }
}
