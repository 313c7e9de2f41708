import ArgumentParser
import FoundationEssentials

/// `ledger assign`: asks for the variants of subjects.
struct Assign: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Get the variants of subjects in an experiment.",
        discussion: """
            A subject keeps the first variant it is given. With --read-only nobody is given one.

            Examples:
              ledger assign HERO user_1 user_2
              ledger assign HERO user_1 --read-only
              ledger assign HERO - < subjects.txt
            """)

    @Argument(help: "The experiment.")
    var experiment: String

    @Argument(
        help: ArgumentHelp(
            "Subjects, or - to read them from standard input, one to a line.",
            valueName: "subject"))
    var subjects: [String]

    @Flag(help: "Only look up, assign nobody.")
    var readOnly = false

    @OptionGroup var options: ClientOptions

    /// How many subjects go into one request.
    private static let subjectsPerRequest = 1000

    func validate() throws {
        try options.refuseYAML()
        if experiment.isEmpty {
            throw ValidationError("The experiment's ID can't be empty.")
        }
    }

    func run() throws {
        var batch = Batch(command: self, client: options.client())
        for subject in subjects {
            if subject == "-" {
                try batch.addStandardInput()
            } else {
                try batch.add(subject)
            }
        }
        try batch.send()
    }

    /// Subjects that wait to be sent together, and the table their answers go to.
    private struct Batch {
        struct Question: Encodable {
            let subjects: [String]
            let assign: Bool
        }

        struct Answer: Decodable {
            struct Assignment: Decodable {
                var subject: String
                var variant: String?
                var cohort: Int?
                var reason: String
                var position: Int?
            }

            var assignments: [Assignment]
        }

        let command: Assign
        let client: Client
        var subjects: [String] = []
        var table = Table(["subject", "variant", "cohort", "reason", "position"])

        init(command: Assign, client: Client) {
            self.command = command
            self.client = client
        }

        mutating func add(_ subject: String) throws {
            subjects.append(subject)
            if subjects.count == Assign.subjectsPerRequest {
                try send()
            }
        }

        mutating func addStandardInput() throws {
            var splitter = LineSplitter()
            var lines: [String] = []
            func take(_ line: ArraySlice<UInt8>) -> Bool {
                if !line.isEmpty {
                    lines.append(String(decoding: line, as: UTF8.self))
                }
                return true
            }
            while let piece = try StandardInput.next() {
                _ = splitter.receive(piece, onLine: take)
                for line in lines {
                    try add(line)
                }
                lines.removeAll(keepingCapacity: true)
            }
            // The last line may lack its line end.
            _ = splitter.receive([UInt8(ascii: "\n")], onLine: take)
            for line in lines {
                try add(line)
            }
        }

        mutating func send() throws {
            guard !subjects.isEmpty else { return }
            let question = Question(subjects: subjects, assign: !command.readOnly)
            subjects.removeAll(keepingCapacity: true)
            let response = try client.send(
                "POST", ["v1", "experiments", command.experiment, "assignments"],
                Client.Details(
                    contentType: "application/json", body: Array(JSONEncoder().encode(question))))
            guard command.options.format == .table else {
                return Terminal.print(body: response.body)
            }
            let answer = try ServerJSON.decode(Answer.self, from: response.body)
            table.print(
                answer.assignments.map { assignment in
                    [
                        Table.Cell(assignment.subject), Table.Cell(assignment.variant ?? "-"),
                        Table.Cell(assignment.cohort.map(String.init) ?? "-"),
                        Table.Cell(assignment.reason),
                        Table.Cell(assignment.position.map(String.init) ?? "-"),
                    ]
                })
        }
    }
}
