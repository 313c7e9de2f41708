import ArgumentParser
import Replication

/// `ledger promote`: makes a follower a ledger of its own.
struct Promote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a follower the successor of a ledger that is lost.",
        discussion: """
            The follower's database takes events of its own from then on, under a new epoch; a \
            follower that is running ends. Be sure that the old ledger is gone and stays so: what it \
            records from now on is not in this one. ledger follow --diverged shows later what it had \
            and this one has not.

            Example:
              ledger promote --data-dir copy --yes && ledger serve --data-dir copy
            """)

    @OptionGroup var database: DatabaseOptions

    @Flag(help: "Do it; without this, only say what would be done.")
    var yes = false

    func run() async throws {
        try await database.withDatabase { conninfo in
            let report: Promotion.Report
            do { report = try Promotion.run(conninfo: conninfo, isDryRun: !yes) } catch let error
                as FollowError
            {
                throw CommandFailure(message: error.description, details: error.advice)
            }
            let unverified =
                report.unverified > 0
                ? "\(grouped(report.unverified)) events behind it came after the last signed "
                    + "checkpoint, and are kept."
                : "No event came after the last signed checkpoint."
            let facts = [
                "It followed \(report.source) up to position \(report.position).",
                "Up to position \(report.verifiedPosition) all is proven. \(unverified)",
            ]
            guard yes else {
                throw CommandFailure(
                    message: "nothing was changed; say --yes to promote", details: facts)
            }
            print("Promoted at position \(report.position), epoch \(report.epoch).")
            print(facts.joined(separator: "\n"))
            print(
                """
                Serve it: ledger serve, with the same --data-dir or --database. Give it the signing key \
                of the old ledger; if that is lost, --replace-signing-key.
                """)
        }
    }
}
