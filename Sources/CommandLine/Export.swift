import ArgumentParser
import EventLog
import Glibc

/// `ledger export`: writes the lines of the log.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write all events, one line of JSON each, exactly as they were recorded.",
        discussion: """
            With -o the lines go to a file, and its size and root hash to FILE.tree, which \
            `ledger import` checks. Either file is there only when it is complete.

            Examples:
              ledger export -o ledger.ndjson
              ledger export | zstd > ledger.ndjson.zst
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The file to write; without it, standard output.", valueName: "file"))
    var output: String?

    @OptionGroup var database: DatabaseOptions

    func run() async throws {
        try await database.withDatabase { conninfo in
            let bar = ProgressBar(label: "export", unit: "events")
            let progress: LogProgress = { bar.update($0, of: $1) }
            let report =
                if let output {
                    try LogExport.run(conninfo: conninfo, toFile: output, progress: progress)
                } else {
                    try LogExport.run(conninfo: conninfo, to: STDOUT_FILENO, progress: progress)
                }
            bar.finish()
            Terminal.writeError(
                "Exported \(grouped(report.tree.size)) events"
                    + (output.map { " to \($0)" } ?? "")
                    + " in \(speed(Int(report.tree.size), report.duration)), "
                    + "root \(report.tree.root.base64).\n")
        }
    }
}
