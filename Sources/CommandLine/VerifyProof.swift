import ArgumentParser
import EventLog
import Proof

/// `ledger verify-proof`: checks a proof offline.
struct VerifyProof: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-proof",
        abstract: "Check a proof, without a server or a database.",
        discussion: """
            Get the log's public key once, from someone you trust (ledger serve answers it under \
            /v1/log/key), and keep it. The exit status is 1 if the proof does not hold.

            Examples:
              ledger verify-proof decision.tlog-proof --key log.vkey
              ledger verify-proof - --key 'example.com/log+c74f20a3+ARpc2QcUPDhMQegw…' < proof
            """)

    @Argument(help: ArgumentHelp("The proof, or - for standard input.", valueName: "file"))
    var file: String

    @Option(
        help: ArgumentHelp("The log's public key, or a file that holds it.", valueName: "key"))
    var key: String

    @Flag(help: "Print the event's line after all else.")
    var line = false

    func run() throws {
        let key = try ProofInput.key(key)
        let proof: ProofFile
        let event: StoredEvent
        do {
            proof = try ProofFile(try ProofInput.file(file))
            try proof.verify(key)
            event = try StoredEvent(line: proof.line)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(
                message: "\(file) proves nothing", details: [Display.oneLine("\(error)")])
        }
        guard event.position == proof.index + 1 else {
            throw CommandFailure(
                message: "\(file) proves nothing",
                details: [
                    "The line says that it is position \(event.position), and it stands at "
                        + "\(proof.index + 1)."
                ])
        }
        print("Proven: this event is in the log \(Display.oneLine(key.name)).")
        for (name, value) in [
            ("position", "\(event.position)"), ("type", event.type), ("stream", event.stream),
            ("recorded at", "\(event.recordedAt)"), ("actor", event.actor),
            ("signed by", "\(key)"), ("log size", grouped(proof.checkpoint.size)),
        ] {
            let label = name + String(repeating: " ", count: 11 - name.count)
            print("  \(label) \(Display.oneLine(value))")
        }
        if line { Terminal.print(body: proof.line) }
    }
}
