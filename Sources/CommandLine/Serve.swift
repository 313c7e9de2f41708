import ArgumentParser
import EventLog
import Glibc
import HTTPAPI
import Hummingbird
import Logging
import Postgres
import Projections
import Secrets
import ServiceLifecycle
import Telemetry
import Webhooks

/// `ledger serve`: the server, with all its parts put together.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the ledger over HTTP.",
        discussion: """
            Without --database a PostgreSQL of its own is started under --data-dir, reached by a \
            Unix socket only and stopped with the server. On a loopback address with that database \
            no key is needed; anywhere else make one first with ledger keys create.

            Several servers may share a --database, on one machine or many: one leads, the others \
            answer reads, pass the rest on to it, and one of them takes over when it is gone. Give \
            them the same --secrets-key, and each an --advertise that the others can reach.

            Examples:
              ledger serve
              ledger serve --listen 0.0.0.0:8080 --database postgresql://db.example/ledger
              ledger serve --listen 0.0.0.0:8080 --advertise http://node2.example:8080 \
                --database 'postgresql://pg1,pg2,pg3/ledger?target_session_attrs=read-write'
            """)

    @OptionGroup var databaseOptions: DatabaseOptions

    @OptionGroup var serving: ServingOptions

    @Option(
        help: ArgumentHelp(
            """
            Where other nodes of the same --database reach this one, or LEDGER_ADVERTISE; \
            http:// and the address it listens on if there is neither.
            """, valueName: "url"))
    var advertise: String?

    @OptionGroup var signing: SigningOptions

    func validate() throws {
        try Environment.refuseUnknown()
        _ = try serving.settings()
        _ = try advertised()
    }

    func run() async throws {
        let settings = try serving.settings()
        bootstrapLogging(level: settings.logLevel)
        let logger = Logger(label: "ledger")
        let database = try databaseOptions.open { logger.notice("\($0)") }
        defer { database.close() }
        do { try await serve(on: database, settings, logger) } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(message: "the ledger could not run: \(error)")
        }
    }

    private func serve(
        on database: Database, _ settings: ServingOptions.Settings, _ logger: Logger
    ) async throws {
        let metrics = LedgerMetrics()
        let secrets = try serving.secretBox(dataDirectory: databaseOptions.dataDirectory)
        let isAlone = database.embedded != nil
        let notary = try signing.notary(
            dataDirectory: databaseOptions.dataDirectory, conninfo: database.conninfo, logger)
        let log =
            try isAlone
            ? EventLog.lead(
                conninfo: database.conninfo, readers: settings.readers, metrics: metrics,
                logger: logger, secrets: secrets, admission: notary.admit)
            : EventLog.open(
                conninfo: database.conninfo, readers: settings.readers, metrics: metrics,
                logger: logger, secrets: secrets)
        defer { log.stop() }
        try await log.reader.pool.run { _ = try notary.checkKey($0) }
        notary.start(log)
        defer { notary.stop() }
        let servesWithoutKey = isAlone && settings.address.isLoopback
        guard servesWithoutKey || log.view.hasKeys else {
            throw CommandFailure(
                message: "no key exists, and \(settings.address) is only served with keys",
                details: ["Make one first: ledger keys create --role admin \(databaseFlag)"])
        }
        let duties = LeaderDuties(
            log: log, conninfo: database.conninfo, secrets: secrets, metrics: metrics,
            logger: logger)
        // One that is alone has them from the start, or does not start.
        if isAlone { try await duties.begin() }
        let results = ResultsReader(
            pool: ConnectionPool(conninfo: database.conninfo, size: 2, name: "ledger results"))
        defer { results.pool.shutdown() }
        let api = API(
            log: log, results: results, dispatchers: duties.dispatchers, notary: notary,
            metrics: metrics, logger: logger, servesWithoutKey: servesWithoutKey,
            sharesDatabase: !isAlone)
        defer { api.stop() }
        try await listen(api, log, duties, notary, settings, logger, isAlone: isAlone)
        logger.notice("stopped", metadata: ["position": "\(log.view.position)"])
    }

    /// Serves until the process is told to stop, or someone else writes to a database of its own.
    private func listen(
        _ api: API, _ log: EventLog, _ duties: LeaderDuties, _ notary: Notary,
        _ settings: ServingOptions.Settings, _ logger: Logger, isAlone: Bool
    ) async throws {
        let advertised = try advertised()
        let server = api.application(host: settings.address.host, port: settings.address.port) {
            port in
            let address = Address(host: settings.address.host, port: port)
            if !isAlone {
                log.join(
                    url: advertised ?? "http://\(address.reachable)", admission: notary.admit)
            }
            logger.notice("listening", metadata: ["url": "http://\(address)"])
        }
        try await ServerServices.run(
            [
                .init(service: Upkeep(log: log, logger: logger)), .init(service: duties),
                .init(service: server),
                .init(service: Farewell(log: log, endsWhenFenced: isAlone)),
            ], logger: logger)
    }

    private var databaseFlag: String {
        databaseOptions.conninfo.map { _ in "--database …" }
            ?? "--data-dir \(databaseOptions.dataDirectory)"
    }
}

extension Serve {
    /// A URL without a slash at its end.
    private func advertised() throws -> String? {
        guard var url = advertise ?? Environment.value(.advertise) else { return nil }
        while url.hasSuffix("/") { url.removeLast() }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw ValidationError(
                "--advertise (LEDGER_ADVERTISE) is a URL such as http://node2.example:8080; not "
                    + "'\(url)'.")
        }
        return url
    }
}
