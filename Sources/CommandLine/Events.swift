import ArgumentParser
import Glibc

/// `ledger events`: prints the log, and follows it.
struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the log's events, and follow it.",
        discussion: """
            On a terminal the events are a table; elsewhere, and with -o json, each is printed \
            as one line of JSON, exactly as it is stored.

            Examples:
              ledger events --limit 20
              ledger events --experiment HERO --type WinnerDeclared
              ledger events --after 1000 --follow
              ledger events > backup.ndjson
            """)

    @Option(help: ArgumentHelp("Only events after this position.", valueName: "position"))
    var after: Int = 0

    @Option(help: ArgumentHelp("At most so many.", valueName: "number"))
    var limit: Limit?

    @Option(help: ArgumentHelp("Only this stream, as in experiment/HERO.", valueName: "stream"))
    var stream: String?

    @Option(help: ArgumentHelp("Only this type, as in WinnerDeclared.", valueName: "type"))
    var type: String?

    @Option(help: ArgumentHelp("Only what belongs to this experiment.", valueName: "id"))
    var experiment: String?

    @Flag(help: "Go on with new events as they come, until stopped.")
    var follow = false

    @OptionGroup var options: ClientOptions

    func validate() throws {
        try options.refuseYAML()
        if after < 0 {
            throw ValidationError("--after is a position: 0 or more.")
        }
    }

    func run() throws {
        let format = options.chosenFormat ?? (Terminal.isStandardOutput ? .table : .json)
        let printer = EventPrinter(format: format, after: after, limit: limit?.count)
        let client = options.client()
        if follow {
            try followFeed(client, printer)
        } else {
            try printLog(client, printer)
        }
    }

    private static let path = ["v1", "events"]

    private func query(_ printer: EventPrinter) -> [(String, String?)] {
        [
            ("after", String(printer.position)), ("limit", printer.left.map(String.init)),
            ("stream", stream), ("type", type), ("experiment", experiment),
        ]
    }

    /// Asks until an answer is empty, as the server may send less than there is.
    private func printLog(_ client: Client, _ printer: EventPrinter) throws {
        var before: Int
        repeat {
            before = printer.position
            let details = Client.Details(
                query: query(printer), accept: "application/x-ndjson")
            let end = try client.lines(Self.path, details, onLine: printer.receive(line:))
            try printer.throwFailure()
            if case .broken(let error) = end {
                throw CommandFailure(error)
            }
        } while printer.position > before && printer.left != 0
    }

    /// Follows the live feed, and connects anew from the last position when it breaks.
    private func followFeed(_ client: Client, _ printer: EventPrinter) throws {
        var pauseSeconds: UInt32 = 1
        while printer.left != 0 {
            let before = printer.position
            if let reason = try readFeed(client, printer) {
                Terminal.writeError("ledger: \(reason); connecting again\n")
            }
            guard printer.left != 0 else { return }
            pauseSeconds = printer.position > before ? 1 : min(10, pauseSeconds * 2)
            sleep(pauseSeconds)
        }
    }

    /// Prints the feed until it ends, and says why if it did not end by itself.
    ///
    /// What can't be mended by waiting is thrown; so is everything before the first event but a
    /// connection that was there and broke.
    private func readFeed(
        _ client: Client,
        _ printer: EventPrinter
    ) throws(CommandFailure) -> String? {
        var details = Client.Details(query: query(printer), accept: "text/event-stream")
        if printer.position > 0 {
            details.headers = [("Last-Event-ID", String(printer.position))]
        }
        let hasPrinted = printer.position > after
        let reader = EventStreamReader()
        let end: Client.StreamEnd
        do {
            end = try client.lines(Self.path, details) { line in
                guard let data = reader.receive(line: line) else { return true }
                defer { Terminal.flush() }
                return printer.receive(line: data[...])
            }
        } catch {
            guard hasPrinted, error.isTemporary else { throw error }
            return error.message
        }
        try printer.throwFailure()
        guard case .broken(let error) = end else { return nil }
        guard hasPrinted || error.kind == .broken else { throw CommandFailure(error) }
        return error.description
    }
}

/// Prints events line by line and remembers the last position.
private final class EventPrinter {
    private struct Event: Decodable {
        var position: Int
        var recordedAt: String
        var actor: String
        var type: String
        var stream: String
    }

    private let format: OutputFormat
    private(set) var position: Int
    private(set) var left: Int?
    private var failure: CommandFailure?
    private var table = Table(["position", "recorded at", "actor", "type", "stream"])

    init(format: OutputFormat, after: Int, limit: Int?) {
        self.format = format
        position = after
        left = limit
    }

    /// Prints one event; false when no more are wanted.
    func receive(line: ArraySlice<UInt8>) -> Bool {
        guard !line.isEmpty, left != 0 else { return left != 0 }
        do {
            let event = try ServerJSON.decode(Event.self, from: line)
            if format == .json {
                Terminal.print(body: line)
            } else {
                table.print([
                    [
                        Table.Cell("\(event.position)"), Table.Cell(event.recordedAt, style: .dim),
                        Table.Cell(event.actor), Table.Cell(event.type, style: .bold),
                        Table.Cell(event.stream),
                    ]
                ])
            }
            position = event.position
            left = left.map { $0 - 1 }
            return left != 0
        } catch {
            failure = error
            return false
        }
    }

    func throwFailure() throws(CommandFailure) {
        if let failure { throw failure }
    }
}
