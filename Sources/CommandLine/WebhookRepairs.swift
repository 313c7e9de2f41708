import ArgumentParser
import Glibc
import JSON

extension WebhookCommand {
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send an endpoint a signed sample, and show what came back.",
            discussion: """
                It is sent whatever the endpoint's state, and recorded nowhere. The exit status is \
                1 where the answer is no 2xx.
                """)

        @OptionGroup var target: Target

        func run() throws {
            let report = try ServerJSON.decode(
                WebhookTestAnswer.self, from: target.send("POST", "test"))
            if target.options.format == .table {
                print(WebhookTestView(report: report).text, terminator: "")
            }
            guard report.delivered else {
                let reason = report.status.map { "it answered \($0)" } ?? report.error ?? ""
                throw CommandFailure(
                    message: "webhook \(target.id) did not take the sample: \(reason)")
            }
        }
    }

    struct Failures: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the events that an endpoint did not take.",
            discussion: """
                Examples:
                  ledger webhook failures shop
                  ledger webhook failures shop 4711
                """)

        @OptionGroup var target: Target

        @Argument(help: "One event, with the endpoint's answer to it.")
        var position: Int?

        @Option(help: ArgumentHelp("At most so many.", valueName: "number"))
        var limit: Limit?

        func validate() throws {
            if position != nil, limit != nil {
                throw ValidationError("--limit is for lists.")
            }
        }

        func run() throws {
            if let position {
                let body = try target.send("GET", "failures", "\(position)")
                guard target.options.format == .table else { return }
                let failure = try ServerJSON.decode(WebhookFailure.self, from: body)
                return print(WebhookFailureView().text(failure), terminator: "")
            }
            let view = WebhookFailureView()
            var table = Table(WebhookFailureView.columns)
            try target.options.client().pages(
                of: WebhookFailure.self, WebhookCommand.path(target.id, "failures"),
                limit: limit?.count
            ) { response, page in
                guard target.options.format == .table else {
                    return Terminal.print(body: response.body)
                }
                table.print(page.items.map(view.row))
            }
        }
    }

    struct Redeliver: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver events once more that were set aside.",
            discussion: """
                Examples:
                  ledger webhook redeliver shop 4711 4712
                  ledger webhook redeliver shop --all
                """)

        @OptionGroup var target: Target

        @Argument(help: "Their positions.")
        var positions: [Int64] = []

        @Flag(help: "All that the endpoint has set aside.")
        var all = false

        private struct Answer: Decodable {
            var redelivering: Int
        }

        func validate() throws {
            if all == !positions.isEmpty {
                throw ValidationError("Give positions, or --all.")
            }
        }

        func run() throws {
            let body = try target.send("POST", "redeliver", body: body)
            guard target.options.format == .table else { return }
            let count = try ServerJSON.decode(Answer.self, from: body).redelivering
            target.say("gets \(grouped(count)) \(count == 1 ? "event" : "events") once more")
        }

        var body: [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            if all {
                writer.key("all")
                writer.bool(true)
            } else {
                writer.key("positions")
                writer.beginArray()
                for position in positions { writer.integer(position) }
                writer.endArray()
            }
            writer.endObject()
            return writer.bytes
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver a stretch of the log once more, beside what is new.",
            discussion: """
                Ends are positions or times. One replay runs at a time, and new events go first; \
                receivers that know the webhook-id or the event's id pass over what they have.

                Examples:
                  ledger webhook replay shop --from 1
                  ledger webhook replay shop --from 2026-01-31T00:00:00Z \
                --to 2026-02-01T00:00:00Z --rate-limit 50 --watch
                  ledger webhook replay shop --cancel 2
                """)

        @OptionGroup var target: Target

        @Option(help: ArgumentHelp("Where it begins.", valueName: "position|time"))
        var from: String?

        @Option(
            help: ArgumentHelp(
                "Where it ends; now if nothing is said.", valueName: "position|time"))
        var to: String?

        @Option(help: ArgumentHelp("Requests per second at most.", valueName: "n"))
        var rateLimit: Double?

        @Flag(help: "Wait for its end, and show how far it is.")
        var watch = false

        @Option(help: ArgumentHelp("End this replay.", valueName: "number"))
        var cancel: Int?

        func validate() throws {
            if (cancel == nil) == (from == nil) {
                throw ValidationError("Say --from where to replay, or which replay to --cancel.")
            }
            if cancel != nil, to != nil || rateLimit != nil || watch {
                throw ValidationError("--cancel goes alone.")
            }
            if let rateLimit, !(rateLimit > 0 && rateLimit.isFinite) {
                throw ValidationError("--rate-limit is more than 0.")
            }
        }

        private struct Answer: Decodable {
            var replay: Int
            var from: Int
            var through: Int
            var events: Int
        }

        func run() throws {
            if let cancel {
                try target.send("DELETE", "replays", "\(cancel)")
                return target.say("replay \(cancel) cancelled")
            }
            let answer = try ServerJSON.decode(
                Answer.self, from: target.send("POST", "replay", body: body))
            target.say(
                "replay \(answer.replay) of positions \(answer.from) to \(answer.through) begins")
            if watch { try follow(answer.replay) }
        }

        var body: [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            writer.place("from", from)
            writer.place("to", to)
            if let rateLimit {
                writer.key("rateLimit")
                writer.number(rateLimit)
            }
            writer.endObject()
            return writer.bytes
        }

        private static let pauseMicroseconds: UInt32 = 500_000

        private func follow(_ number: Int) throws {
            let client = target.options.client()
            let bar = ProgressBar(label: "replay \(number)", unit: "events")
            defer { bar.finish() }
            var said: String?
            while true {
                let response = try client.send("GET", WebhookCommand.path(target.id))
                let webhook = try ServerJSON.decode(WebhookAnswer.self, from: response.body)
                guard let replay = webhook.replays.first(where: { $0.replay == number }) else {
                    throw CommandFailure(message: "replay \(number) is no longer there")
                }
                bar.update(replay.done, of: replay.total)
                switch replay.status {
                case "running": break
                case "completed": return
                default: throw CommandFailure(message: "replay \(number) was \(replay.status)")
                }
                if let state = webhook.delivery?.state, state != said {
                    if state != "healthy" {
                        Terminal.writeError("\rwebhook \(target.id) is \(state); still waiting\n")
                    }
                    said = state
                }
                usleep(Self.pauseMicroseconds)
            }
        }
    }
}

extension JSONWriter {
    /// A position as a number, a time as a text.
    fileprivate mutating func place(_ name: StaticString, _ place: String?) {
        guard let place else { return }
        key(name)
        if let position = Int64(place) { integer(position) } else { string(place) }
    }
}
