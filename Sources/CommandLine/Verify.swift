import ArgumentParser
import EventLog
import Proof

/// `ledger verify`: checks the log against itself, and against what others keep of it.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that no event was changed, removed or put in.",
        discussion: """
            Reads the whole log, hashes each line, and compares every hash with those that the ledger \
            kept when it wrote: so a change is named by its position. Whoever can change the database \
            can change those hashes too; against that help a checkpoint kept elsewhere (--since) and \
            another copy of the log (--against). The exit status is 1 if anything is wrong.

            Examples:
              ledger verify
              ledger verify --since 2026-01-31.checkpoint --key log.vkey
              ledger verify --against https://follower.example
            """)

    @Option(
        help: ArgumentHelp(
            """
            A checkpoint, or a proof, kept elsewhere: the log must still hold all that it held \
            then. Several narrow down where it was changed.
            """, valueName: "file"))
    var since: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            The log's public key, or a file that holds it: it must have signed the checkpoints.
            """, valueName: "key"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            """
            The address of another ledger with the same log, as a follower is: the first position \
            in which they differ is named. Asked with the key in LEDGER_KEY.
            """, valueName: "url"))
    var against: String?

    @OptionGroup var database: DatabaseOptions

    func validate() throws {
        if let against, !Client.isAddress(against) {
            throw ValidationError("--against '\(against)' must begin with http:// or https://.")
        }
        if key != nil, since.isEmpty {
            throw ValidationError("--key checks the checkpoints of --since.")
        }
    }

    func run() async throws {
        let kept = try keptCheckpoints()
        let other = against.map(Self.other)
        try await database.withDatabase { conninfo in
            let bar = ProgressBar(label: "verify", unit: "events")
            let report = try LogVerification.run(
                conninfo: conninfo, since: kept, against: other,
                progress: { bar.update($0, of: $1) })
            bar.finish()
            for finding in report.findings { print(Display.oneLine(finding.description)) }
            let read = "\(speed(Int(report.size), report.duration)), root:"
            let root = ["hex    \(report.root)", "base64 \(report.root.base64)"]
            guard report.findingCount > 0 else {
                print("The log is whole: \(grouped(report.size)) events in \(read)")
                print(root.map { "  \($0)" }.joined(separator: "\n"))
                for kept in kept {
                    print("It extends \(kept.place), which has \(grouped(kept.checkpoint.size)).")
                }
                if let other { print("It agrees with the one at \(other.name).") }
                return
            }
            throw CommandFailure(
                message: "the log is damaged: \(grouped(report.findingCount)) findings; "
                    + "\(grouped(report.size)) events in \(read)",
                details: root)
        }
    }

    private func keptCheckpoints() throws(CommandFailure) -> [KeptCheckpoint] {
        let key = try key.map { text throws(CommandFailure) in try ProofInput.key(text) }
        var kept: [KeptCheckpoint] = []
        for path in since {
            let checkpoint = try ProofInput.checkpoint(path)
            if let key {
                do { try checkpoint.verify(key) } catch {
                    throw CommandFailure(
                        message: "\(path) is no checkpoint of that key", details: ["\(error)"])
                }
            } else {
                Terminal.writeError("The signature of \(path) is not checked: there is no --key.\n")
            }
            kept.append(KeptCheckpoint(checkpoint, place: path))
        }
        return kept
    }

    private static func other(_ url: String) -> OtherLog {
        let client = Client(baseURL: Client.address(url), key: Environment.value(.key))
        return OtherLog(name: url) { size in
            let response = try client.send(
                "GET", ["v1", "log", "root"],
                Client.Details(query: [("size", size.map(String.init))]))
            guard let tree = TreeHead(json: response.body) else {
                throw CommandFailure(message: "\(url) does not answer as a ledger does")
            }
            return tree
        }
    }
}
