import ArgumentParser

/// `ledger webhook`: the endpoints that events are pushed to.
struct WebhookCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "webhook",
        abstract: "Push events to endpoints, and watch and mend their deliveries.",
        discussion: """
            An endpoint gets each event at least once, signed, and in order for each subject, run \
            or experiment. While it is down its events wait; what it refuses is set aside.

            Examples:
              ledger webhook add https://example.com/hook --events AssignmentMade --id shop
              ledger webhook test shop
              ledger webhook list
              ledger webhook failures shop
              ledger webhook redeliver shop --all
              ledger webhook replay shop --from 2026-01-31T00:00:00Z --watch
            """,
        subcommands: [
            Add.self, List.self, Show.self, Update.self, Pause.self, Resume.self, Test.self,
            Failures.self, Redeliver.self, Replay.self, RotateSecret.self, Remove.self,
        ])

    /// The path of an endpoint, or of something of it.
    static func path(_ id: String, _ rest: String...) -> [String] {
        ["v1", "webhooks", id] + rest
    }

    /// Which endpoint is meant, and where it is asked for.
    struct Target: ParsableArguments {
        @Argument(help: "The webhook's ID.")
        var id: String

        @OptionGroup var options: ClientOptions

        func validate() throws {
            try options.refuseYAML()
            if id.isEmpty { throw ValidationError("The webhook's ID can't be empty.") }
        }

        /// Sends a request about the endpoint, and prints the answer if it is wanted as JSON.
        @discardableResult
        func send(
            _ method: String, _ rest: String..., body: [UInt8]? = nil
        ) throws -> [UInt8] {
            let response = try options.client().send(
                method, ["v1", "webhooks", id] + rest,
                Client.Details(
                    contentType: body == nil ? nil : "application/json", body: body))
            if options.format == .json, !response.body.isEmpty {
                Terminal.print(body: response.body)
            }
            return response.body
        }

        /// Says what was done, where no JSON is wanted.
        func say(_ what: String) {
            if options.format == .table { print("webhook/\(id) \(what)") }
        }
    }

    // MARK: Watching

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the endpoints, and how their deliveries go.",
            discussion: """
                LAG is what waits: events of the log that are not settled, and the age of the \
                oldest. FILL is events per request, REUSED the share of requests over a connection \
                that was open already. Counts are those since the server started.
                """)

        @OptionGroup var options: ClientOptions

        func validate() throws { try options.refuseYAML() }

        func run() throws {
            let response = try options.client().send("GET", ["v1", "webhooks"])
            guard options.format == .table else { return Terminal.print(body: response.body) }
            let page = try ServerJSON.decode(Page<WebhookAnswer>.self, from: response.body)
            print(WebhookListView(page.items).text, terminator: "")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show all of an endpoint: its settings, deliveries and replays.")

        @OptionGroup var target: Target

        func run() throws {
            let body = try target.send("GET")
            guard target.options.format == .table else { return }
            let webhook = try ServerJSON.decode(WebhookAnswer.self, from: body)
            print(WebhookView(webhook).text, terminator: "")
        }
    }

    // MARK: Lifecycle

    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop deliveries to an endpoint; its events wait.")

        @OptionGroup var target: Target

        func run() throws {
            try target.send("POST", "pause")
            target.say("paused")
        }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go on with deliveries to an endpoint that is paused or disabled.",
            discussion: "It goes on where it stopped, at once, whatever failed before.")

        @OptionGroup var target: Target

        func run() throws {
            try target.send("POST", "resume")
            target.say("resumed")
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an endpoint, with what it has set aside.")

        @OptionGroup var target: Target

        func run() throws {
            try target.send("DELETE")
            target.say("removed")
        }
    }
}
