import ArgumentParser
import Projections

/// `ledger rebuild`: builds the projections anew from the log.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Build the projections anew from the log, or check them against it.",
        discussion: """
            The tables and views that analysts read are built beside the present ones and swapped \
            in one transaction; a running server goes on.

            With --verify nothing is swapped: the new ones are compared row by row with the \
            present ones, differences are printed, and the exit status is 1 if there are any.
            """)

    @Flag(help: "Compare with the present projections and leave them as they are.")
    var verify = false

    @OptionGroup var database: DatabaseOptions

    func run() async throws {
        try await database.withDatabase { conninfo in
            let bar = ProgressBar(label: verify ? "verify" : "rebuild", unit: "events")
            if verify {
                try self.verify(conninfo, bar)
            } else {
                let report = try Projections.Rebuild.run(
                    conninfo: conninfo, progress: { bar.update($0, of: $1) })
                bar.finish()
                print(
                    "Rebuilt the projections from \(grouped(report.position)) events: "
                        + "\(grouped(report.assignments)) assignments in "
                        + "\(speed(Int(report.position), report.duration)).")
            }
        }
    }

    private func verify(_ conninfo: String, _ bar: ProgressBar) throws {
        let report = try Projections.Rebuild.verify(
            conninfo: conninfo, progress: { bar.update($0, of: $1) })
        bar.finish()
        for difference in report.differences { print(Display.oneLine(difference.description)) }
        let compared =
            "\(grouped(report.rows)) rows with the log up to position \(grouped(report.position)) "
            + "in \(speed(Int(report.position), report.duration))"
        guard report.count > 0 else {
            return print("Compared \(compared): the projections are what the log says.")
        }
        throw CommandFailure(
            message: "\(grouped(report.count)) differences; compared \(compared)",
            details: (report.count > report.differences.count
                ? ["The first \(report.differences.count) are shown."] : [])
                + ["`ledger rebuild` puts the projections right; the log is untouched."])
    }
}
