import ArgumentParser
import Domain
import FoundationEssentials
import JSON

/// `ledger score`: reports outcomes, and takes them back.
struct Score: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Record scores of subjects and runs, or take them back.",
        discussion: """
            A score is credited to the variant that its subject or run was given. A file holds an \
            array of scores or one on each line, with the members experiment, subject (or function \
            and run), name and value, and if wanted variant, occurredAt, stepId, metadata, id and \
            onUnknownUnit.

            Examples:
              ledger score HERO revenue 12.50 --subject user_1
              ledger score HERO converted true --subject user_1 --at 2026-01-31T12:00:00Z
              ledger score model helpful 0.8 --function summarize --run run_1
              ledger score -f scores.ndjson
              ledger score retract 4711 --reason "a test order"
              ledger help score record
            """,
        subcommands: [Record.self, Retract.self], defaultSubcommand: Record.self)

    struct Record: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Record a score, or those of a file.",
            discussion: """
                The word record can be left out. A file is sent in batches, each recorded as a \
                whole or not at all. Where one is refused, the rest is not sent; mend the file and \
                send it again with the same --batch-key, and what was recorded stays as it is.

                Examples:
                  ledger score HERO revenue 12.50 --subject user_1
                  ledger score HERO late_reply 1 --subject stranger --quarantine
                  ledger score -f scores.json
                  zcat scores.ndjson.gz | ledger score -f - --batch-key 2026-01-31
                """)

        @Argument(help: "The experiment.")
        var experiment: String?

        @Argument(help: ArgumentHelp("What was measured.", valueName: "name"))
        var name: String?

        // A list, as a single argument can't begin with a minus sign.
        @Argument(
            parsing: .allUnrecognized,
            help: ArgumentHelp("A number, true or false.", valueName: "value"))
        var values: [JSONText] = []

        @Option(help: ArgumentHelp("Whose score it is.", valueName: "subject"))
        var subject: String?

        @Option(help: ArgumentHelp("The function of a step experiment.", valueName: "function"))
        var function: String?

        @Option(
            name: .customLong("run"),
            help: ArgumentHelp("The run of the function whose score it is.", valueName: "run"))
        var functionRun: String?

        @Option(help: ArgumentHelp("When it was; without it, now.", valueName: "time"))
        var at: String?

        @Option(
            help: ArgumentHelp("Refuse it unless this is the variant.", valueName: "variant"))
        var variant: String?

        @Flag(help: "Keep the score of one without a variant, credited to none.")
        var quarantine = false

        @Option(help: ArgumentHelp("The step of the run.", valueName: "id"))
        var stepID: String?

        @Option(help: ArgumentHelp("A JSON object to keep along with it.", valueName: "json"))
        var metadata: JSONText?

        @Option(
            help: ArgumentHelp(
                "A UUID of your own: sent twice, it is recorded once.", valueName: "uuid"))
        var id: String?

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp("A file of scores, or - for standard input.", valueName: "file|-"))
        var file: String?

        @Option(
            help: ArgumentHelp(
                "Names this sending of a file; without it one is made up.", valueName: "text"))
        var batchKey: String?

        @OptionGroup var options: ClientOptions

        func validate() throws {
            try options.refuseYAML()
            if file == nil { try validateScore() } else { try validateFile() }
        }

        private func validateFile() throws {
            let others = [
                experiment, name, values.first?.text, subject, function, functionRun, at, variant,
                stepID,
                metadata?.text, id,
            ]
            if quarantine || others.contains(where: { $0 != nil }) {
                throw ValidationError("With --file each score says everything itself.")
            }
            if let batchKey, !ScoreSending.isKey(batchKey) {
                throw ValidationError(
                    "A batch key has 1 to \(ScoreSending.keyBytesMax) visible ASCII characters.")
            }
        }

        private func validateScore() throws {
            guard experiment != nil, name != nil, let value = values.first, values.count == 1
            else {
                throw ValidationError(
                    "Give an experiment, a name and a value, or a file of scores with --file.")
            }
            switch value.value {
            case .bool: break
            case .number(let number) where number.double.isFinite: break
            default:
                throw ValidationError(
                    "'\(value.text)' is no score: give a number, true or false.")
            }
            guard (subject != nil) != (functionRun != nil),
                (function != nil) == (functionRun != nil)
            else {
                throw ValidationError("Say whose it is: --subject, or --function and --run.")
            }
            if let metadata, metadata.value.object == nil {
                throw ValidationError("--metadata is a JSON object.")
            }
            if batchKey != nil { throw ValidationError("--batch-key goes with --file.") }
        }

        func run() throws {
            let client = options.client()
            if let file {
                var sending = ScoreSending(
                    client: client, key: batchKey ?? UUID().uuidString, format: options.format)
                return try sending.run(file)
            }
            let response = try client.send(
                "POST", ["v1", "scores"],
                Client.Details(contentType: "application/json", body: body))
            guard options.format == .table else { return Terminal.print(body: response.body) }
            let recorded = try ServerJSON.decode(RecordedScore.self, from: response.body)
            var table = Table(["variant", "position", "id"])
            table.print([
                [
                    Table.Cell(recorded.variant ?? "(unattributed)", style: .bold),
                    Table.Cell("\(recorded.position)"), Table.Cell(recorded.id),
                ]
            ])
        }

        /// The request for the one score.
        var body: [UInt8] {
            var writer = JSONWriter()
            func member(_ key: StaticString, _ value: String?) {
                guard let value else { return }
                writer.key(key)
                writer.string(value)
            }
            func member(_ key: StaticString, _ value: JSONText?) {
                guard let value else { return }
                writer.key(key)
                writer.raw(Array(value.text.utf8))
            }
            writer.beginObject()
            member("experiment", experiment)
            member("subject", subject)
            member("function", function)
            member("run", functionRun)
            member("name", name)
            member("value", values.first)
            member("occurredAt", at)
            member("variant", variant)
            member("stepId", stepID)
            member("metadata", metadata)
            member("id", id)
            member("onUnknownUnit", quarantine ? "quarantine" : nil)
            writer.endObject()
            return writer.bytes
        }
    }

    struct Retract: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take scores back; the log keeps both.",
            discussion: """
                Examples:
                  ledger score retract 4711 --reason "a test order"
                  ledger score retract 0198c5b1-7d2a-7f00-8a11-3f0d2c4b5a69
                """)

        @Argument(
            help: ArgumentHelp(
                "Scores, each by its position in the log or its ID.", valueName: "position|id"))
        var scores: [ScoreReference]

        @Option(help: ArgumentHelp("Why.", valueName: "text"))
        var reason: String?

        @OptionGroup var options: ClientOptions

        private struct Answer: Decodable {
            var score: Int
            var position: Int?
        }

        func validate() throws {
            try options.refuseYAML()
        }

        func run() throws {
            let client = options.client()
            for score in scores {
                let response = try client.send(
                    "POST", ["v1", "scores", "retractions"],
                    Client.Details(contentType: "application/json", body: body(score)))
                guard options.format == .table else {
                    Terminal.print(body: response.body)
                    continue
                }
                let answer = try ServerJSON.decode(Answer.self, from: response.body)
                let outcome = answer.position.map { "retracted at position \($0)" }
                print("score \(answer.score) \(outcome ?? "was retracted before")")
            }
        }

        func body(_ score: ScoreReference) -> [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            switch score {
            case .position(let position):
                writer.key("position")
                writer.integer(position)
            case .id(let id):
                writer.key("id")
                writer.string(id)
            }
            if let reason {
                writer.key("reason")
                writer.string(reason)
            }
            writer.endObject()
            return writer.bytes
        }
    }
}

/// How a recorded score is named.
enum ScoreReference: ExpressibleByArgument, Equatable {
    case position(Int64)
    case id(String)

    init?(argument: String) {
        if let position = Int64(argument), position > 0 {
            self = .position(position)
        } else if EventID(argument) != nil {
            self = .id(argument)
        } else {
            return nil
        }
    }
}

/// A score that is recorded, as the server answers.
struct RecordedScore: Decodable {
    var position: Int
    var id: String
    var variant: String?
}
