import ArgumentParser
import Proof

/// `ledger checkpoint`: fetches a signed statement of the log as it is now.
struct CheckpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Fetch a signed checkpoint: size and root of the log as it is now.",
        discussion: """
            Keep checkpoints where nobody who can change the database can reach them: ledger verify \
            --since checks that the log still holds everything it held then.

            Examples:
              ledger checkpoint --output ledger-$(date +%F).checkpoint
              ledger checkpoint | mail -s "Our log today" auditor@example.com
            """)

    @Option(
        help: ArgumentHelp("The file to write; without it, standard output.", valueName: "file"))
    var output: String?

    @OptionGroup var server: ServerOptions

    func run() throws {
        let note = try LogClient(server.client()).checkpoint()
        try ProofInput.write(note.bytes, to: output)
    }
}

/// Asks a ledger for what it proves of its log.
struct LogClient {
    private let client: Client

    init(_ client: Client) { self.client = client }

    func checkpoint() throws(CommandFailure) -> Checkpoint {
        let response = try client.send("GET", ["v1", "log", "checkpoint"], Self.text)
        do { return try Checkpoint(response.body) } catch {
            throw CommandFailure(message: "the server's checkpoint can't be read: \(error)")
        }
    }

    func key() throws(CommandFailure) -> VerifierKey {
        let response = try client.send("GET", ["v1", "log", "key"], Self.text)
        do { return try VerifierKey(String(decoding: response.body, as: UTF8.self)) } catch {
            throw CommandFailure(message: "the server's public key can't be read: \(error)")
        }
    }

    /// The hashes that prove an event to be in the tree of a size.
    func inclusion(of position: Int, size: Int64) throws(CommandFailure) -> [Digest] {
        struct Answer: Decodable { var hashes: [String] }
        let response = try client.send(
            "GET", ["v1", "log", "proof", "inclusion"],
            Client.Details(query: [("position", "\(position)"), ("size", "\(size)")]))
        let texts = try ServerJSON.decode(Answer.self, from: response.body).hashes
        let hashes = texts.compactMap { Digest(text: $0) }
        guard hashes.count == texts.count else {
            throw CommandFailure(message: "the server's proof has a malformed hash")
        }
        return hashes
    }

    /// The exact line of an event, without its break.
    func line(_ position: Int) throws(CommandFailure) -> [UInt8] {
        let response = try client.send(
            "GET", ["v1", "events"],
            Client.Details(
                query: [("after", "\(position - 1)"), ("limit", "1")],
                accept: "application/x-ndjson"))
        guard response.body.last == UInt8(ascii: "\n") else {
            throw CommandFailure(message: "there is no event at position \(position)")
        }
        return response.body.dropLast()
    }

    private static let text = Client.Details(accept: "text/plain")
}
