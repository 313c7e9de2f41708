import ArgumentParser
import EventLog

/// `ledger verify`: checks the log against itself and its head.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that no event was changed, removed or put in.",
        discussion: """
            Reads the whole log, computes the Merkle tree over its lines, and compares it with the \
            one the ledger kept while it wrote. The root that is printed can be compared with a \
            checkpoint or an export kept elsewhere. The exit status is 1 if anything is wrong.
            """)

    @OptionGroup var database: DatabaseOptions

    func run() async throws {
        try await database.withDatabase { conninfo in
            let bar = ProgressBar(label: "verify", unit: "events")
            let report = try LogVerification.run(
                conninfo: conninfo, progress: { bar.update($0, of: $1) })
            bar.finish()
            for finding in report.findings { print(Display.oneLine(finding.description)) }
            let read = "\(speed(Int(report.size), report.duration)), root:"
            let root = ["hex    \(report.root)", "base64 \(report.root.base64)"]
            guard report.findingCount > 0 else {
                print("The log is whole: \(grouped(report.size)) events in \(read)")
                return print(root.map { "  \($0)" }.joined(separator: "\n"))
            }
            throw CommandFailure(
                message: "the log is damaged: \(grouped(report.findingCount)) findings; "
                    + "\(grouped(report.size)) events in \(read)",
                details: root)
        }
    }
}
