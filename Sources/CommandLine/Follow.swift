import ArgumentParser
import EventLog
import HTTPAPI
import Logging
import Postgres
import Projections
import Proof
import Replication
import ServiceLifecycle
import Telemetry

/// `ledger follow`: keeps a copy of another ledger, and serves it.
struct Follow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep a copy of another ledger elsewhere, and serve it.",
        discussion: """
            A follower has a PostgreSQL of its own. It pulls the log of --from by position, checks \
            every line against the tree that the source signs, and serves reads; writes are refused. \
            It goes on where it stopped, and needs nothing of the source but its address and a key \
            with role reader. The source's public key is trusted as it comes the first time, unless \
            --trust names it.

            When the source is lost for good, ledger promote makes the follower its successor.

            Examples:
              ledger follow --from https://ledger.example --key ldg_… --data-dir copy
              ledger follow --from https://ledger.example --trust ledger.pub --database postgresql:///copy
              ledger follow --from https://new.example --diverged --data-dir old > lost.ndjson
            """)

    @Option(
        help: ArgumentHelp("The address of the ledger to follow.", valueName: "url"))
    var from: String

    @Option(
        help: ArgumentHelp(
            "The key to ask the source with, or LEDGER_KEY; role reader is enough.",
            valueName: "key"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            """
            The source's public key (NAME+KEYID+BASE64, as GET /v1/log/key has it), or a file with \
            it.
            """, valueName: "key|file"))
    var trust: String?

    @OptionGroup var databaseOptions: DatabaseOptions

    @OptionGroup var serving: ServingOptions

    @Flag(
        help: """
            Deliver webhooks from here, too. The source delivers to the same endpoints, unless it \
            is gone; their secrets need its --secrets-key.
            """)
    var webhooks = false

    @Flag(help: "Try once more what has stopped this follower before.")
    var retry = false

    @Flag(
        help: """
            Follow nothing: print the events that this database has and the source has not, from \
            the first that differs on, and stop. For the database of a leader that was replaced.
            """)
    var diverged = false

    func validate() throws {
        try Environment.refuseUnknown()
        _ = try serving.settings()
        guard from.hasPrefix("http://") || from.hasPrefix("https://") else {
            throw ValidationError("--from is a URL such as https://ledger.example; not '\(from)'.")
        }
    }

    func run() async throws {
        if diverged { return try await reportDiverged() }
        let settings = try serving.settings()
        bootstrapLogging(level: settings.logLevel)
        let logger = Logger(label: "ledger")
        let database = try databaseOptions.open { logger.notice("\($0)") }
        defer { database.close() }
        do { try await follow(on: database, settings, logger) } catch {
            throw Self.failure(error, "the ledger could not follow \(from)")
        }
    }

    private var source: SourceAddress {
        SourceAddress(url: from, key: key ?? Environment.value(.key))
    }

    /// The key that was named, by itself or in a file.
    private func trustedKey() throws -> VerifierKey? {
        guard let trust else { return nil }
        if let key = try? VerifierKey(trust) { return key }
        do {
            guard let text = try FileDescriptor.contents(of: trust) else {
                throw CommandFailure(
                    message: "--trust: '\(trust)' is neither a public key nor a file that is there")
            }
            return try VerifierKey(String(decoding: text, as: UTF8.self))
        } catch let error as NoteError {
            throw CommandFailure(message: "--trust: \(trust): \(error)")
        }
    }

    private static func failure(_ error: any Error, _ what: String) -> CommandFailure {
        switch error {
        case let failure as CommandFailure: failure
        case let error as FollowError:
            CommandFailure(message: error.description, details: error.advice)
        default: CommandFailure(message: "\(what): \(error)")
        }
    }

    // MARK: Following

    private func follow(
        on database: Database, _ settings: ServingOptions.Settings, _ logger: Logger
    ) async throws {
        let metrics = LedgerMetrics()
        let log = try EventLog.open(
            conninfo: database.conninfo, readers: settings.readers, metrics: metrics,
            logger: logger, isFollower: true)
        defer { log.stop() }
        let follower = try Follower.start(
            log: log, conninfo: database.conninfo,
            options: Follower.Options(source: source, trusted: try trustedKey(), retries: retry),
            metrics: metrics, logger: logger)
        defer { follower.stop() }
        let duties = FollowerDuties(
            log: log, follower: follower, conninfo: database.conninfo,
            secrets: webhooks
                ? try serving.secretBox(dataDirectory: databaseOptions.dataDirectory) : nil,
            metrics: metrics, logger: logger)
        let results = ResultsReader(
            pool: ConnectionPool(conninfo: database.conninfo, size: 2, name: "ledger results"))
        defer { results.pool.shutdown() }
        let api = API(
            log: log, results: results, dispatchers: duties.dispatchers, metrics: metrics,
            logger: logger,
            servesWithoutKey: database.embedded != nil && settings.address.isLoopback,
            follower: follower)
        defer { api.stop() }
        let server = api.application(host: settings.address.host, port: settings.address.port) {
            port in
            let address = Address(host: settings.address.host, port: port)
            logger.notice("listening", metadata: ["url": "http://\(address)"])
        }
        try await ServerServices.run(
            [
                .init(service: FollowerUpkeep(log: log)), .init(service: duties),
                .init(service: server),
                .init(service: FollowerFarewell(log: log, follower: follower)),
            ], logger: logger)
        logger.notice("stopped", metadata: ["position": "\(log.view.position)"])
    }

    // MARK: What only this database has

    private func reportDiverged() async throws {
        let trusted = try trustedKey()
        let source = source
        try await databaseOptions.withDatabase { conninfo in
            let common: CommonPrefix
            do {
                common = try CommonPrefix.find(
                    conninfo: conninfo, source: source, trusted: trusted)
            } catch { throw Self.failure(error, "could not compare with \(source.url)") }
            try Self.printLines(after: common.position, through: common.size, conninfo)
            let further = common.size - common.position
            Terminal.writeError(
                """
                The last event in common is at position \(common.position).
                This database has \(grouped(further)) further events\
                \(further > 0 ? ", printed above" : ""); \(source.url) has \
                \(grouped(common.sourceSize - common.position)) of its own.
                Nothing was changed, and nothing is merged: what is to be kept of them has to be \
                recorded anew.

                """)
        }
    }

    private static func printLines(
        after: Int64, through: Int64, _ conninfo: String
    ) throws {
        let connection = try Connection(conninfo, applicationName: "ledger follow")
        defer { connection.close() }
        var last = after
        while last < through {
            let page = try LinePage.read(
                after: last, through: through, limit: 10_000, bytesMax: 1 << 20, connection)
            guard page.count > 0 else { return }
            try FileDescriptor.write(page.bytes, to: 1)
            last += Int64(page.count)
        }
    }
}
