import ArgumentParser
import Glibc

/// `ledger erase`: makes what the log holds of a subject unreadable for ever.
struct Erase: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Erase a subject: destroy the key that what is sealed of it opens with.",
        discussion: """
            It counts for experiments with sealed: true in their spec. What others hold of the \
            subject is in plain text and stays; they are listed. Variants, times and scores remain, \
            under a token that says nothing. The same subject is a new one afterwards.

            There is no way back, but for backups of the database that hold the key.

            Examples:
              ledger erase user_123
              ledger erase user_123 --reason "request 4711" --yes
            """)

    @Argument(help: "The subject's ID.")
    var subject: String

    @Option(
        help: ArgumentHelp(
            "Why; kept in the log for ever, so it must not name the subject.", valueName: "text"))
    var reason: String?

    @Flag(help: "Do not ask first.")
    var yes = false

    @OptionGroup var options: ClientOptions

    private struct Answer: Decodable {
        var token: String
        var position: Int
        var experiments: [String]
        var plainExperiments: [String]
    }

    func validate() throws {
        try options.refuseYAML()
        if subject.isEmpty { throw ValidationError("The subject's ID can't be empty.") }
    }

    func run() throws {
        if !yes { try confirm() }
        let response = try options.client().send(
            "DELETE", ["v1", "subjects", subject], Client.Details(query: [("reason", reason)]))
        guard options.format == .table else { return Terminal.print(body: response.body) }
        let answer = try ServerJSON.decode(Answer.self, from: response.body)
        print("erased, position \(answer.position); the log calls the subject \(answer.token)")
        let names = answer.experiments.joined(separator: ", ")
        print("  sealed in: \(names.isEmpty ? "no experiment" : names)")
        guard !answer.plainExperiments.isEmpty else { return }
        let plain = answer.plainExperiments.joined(separator: ", ")
        Terminal.writeError("also in plain text in \(plain): can't be erased\n")
    }

    /// Asks on the terminal; whoever has none says so beforehand.
    private func confirm() throws {
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                message: "nothing was erased: there is no terminal to ask on",
                details: ["Say --yes to erase without being asked."])
        }
        Terminal.writeError(
            "Erase \(Display.oneLine(subject)) for ever, with no way back? Type yes: ")
        guard readLine() == "yes" else {
            throw CommandFailure(message: "nothing was erased")
        }
    }
}
