import ArgumentParser
import Proof

/// `ledger proof`: makes a file that proves an event to anyone, offline.
struct ProofCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proof",
        abstract: "Make a file that proves an event to be in the log.",
        discussion: """
            The file holds the event's exact line, the hashes that lead from it to the root, and the \
            signed checkpoint: all that ledger verify-proof needs besides the log's public key. Its \
            form is C2SP's tlog-proof.

            Examples:
              ledger proof 42 --output decision.tlog-proof
              ledger proof 42 --checkpoint kept.checkpoint > decision.tlog-proof
            """)

    @Argument(help: ArgumentHelp("The event's position.", valueName: "position"))
    var position: Int

    @Option(
        help: ArgumentHelp(
            """
            Prove it against this checkpoint, kept from earlier; without it, against a new one.
            """, valueName: "file"))
    var checkpoint: String?

    @Option(
        help: ArgumentHelp("The file to write; without it, standard output.", valueName: "file"))
    var output: String?

    @OptionGroup var server: ServerOptions

    func validate() throws {
        if position < 1 { throw ValidationError("A position is 1 or more.") }
    }

    func run() throws {
        let log = LogClient(server.client())
        let checkpoint = try checkpoint.map(ProofInput.checkpoint) ?? log.checkpoint()
        guard position <= checkpoint.size else {
            throw CommandFailure(
                message: "position \(position) is beyond the checkpoint's "
                    + "\(grouped(checkpoint.size)) events")
        }
        let proof = ProofFile(
            line: try log.line(position), index: Int64(position - 1),
            hashes: try log.inclusion(of: position, size: checkpoint.size), checkpoint: checkpoint)
        do { try proof.verify(try log.key()) } catch let error as NoteError {
            throw CommandFailure(
                message: "the server's proof does not hold", details: ["\(error)"])
        }
        try ProofInput.write(proof.bytes, to: output)
        if let output {
            Terminal.writeError(
                "Proved position \(position) in the log \(checkpoint.origin) with "
                    + "\(grouped(checkpoint.size)) events: \(output)\n")
        }
    }
}
