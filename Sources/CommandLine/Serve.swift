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

    @Option(
        help: ArgumentHelp(
            """
            Address and port, or LEDGER_LISTEN; 127.0.0.1:8080 if there is neither. Port 0 takes a \
            free one.
            """, valueName: "host:port"))
    var listen: String?

    @Option(
        help: ArgumentHelp(
            """
            Where other nodes of the same --database reach this one, or LEDGER_ADVERTISE; \
            http:// and the address it listens on if there is neither.
            """, valueName: "url"))
    var advertise: String?

    @Option(
        help: ArgumentHelp(
            """
            trace, debug, info, notice, warning or error, or LEDGER_LOG_LEVEL; info if there is \
            neither.
            """, valueName: "level"))
    var logLevel: String?

    @Option(
        help: ArgumentHelp(
            "Database connections that read, or LEDGER_READERS; 4 if there is neither.",
            valueName: "n"))
    var readers: Int?

    @Option(
        help: ArgumentHelp(
            """
            The file with the key that webhooks' secrets and the keys of sealed subjects are sealed \
            with, or LEDGER_SECRETS_KEY; secrets.key in the data directory if there is neither. Made \
            on first use; keep a copy apart from the database's.
            """, valueName: "file"))
    var secretsKey: String?

    @OptionGroup var signing: SigningOptions

    func validate() throws {
        try Environment.refuseUnknown()
        _ = try settings()
    }

    func run() async throws {
        let settings = try settings()
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
        on database: Database, _ settings: Settings, _ logger: Logger
    ) async throws {
        let metrics = LedgerMetrics()
        let secrets = try secretBox()
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
        _ settings: Settings, _ logger: Logger, isAlone: Bool
    ) async throws {
        let server = api.application(host: settings.address.host, port: settings.address.port) {
            port in
            let address = Address(host: settings.address.host, port: port)
            if !isAlone {
                log.join(
                    url: settings.advertised ?? "http://\(address.reachable)",
                    admission: notary.admit)
            }
            logger.notice("listening", metadata: ["url": "http://\(address)"])
        }
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: Upkeep(log: log, logger: logger)), .init(service: duties),
                .init(service: server),
                // The last is told first that it is time to stop.
                .init(service: Farewell(log: log, endsWhenFenced: isAlone)),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// Made on first use, outside the database.
    private func secretBox() throws -> SecretBox {
        let named = secretsKey ?? Environment.value(.secretsKey)
        // With a database of its own the directory may be missing.
        if named == nil { mkdir(databaseOptions.dataDirectory, 0o711) }
        let file = named ?? "\(databaseOptions.dataDirectory)/secrets.key"
        do throws(SecretBoxError) {
            return try SecretBox(keyFile: file, createIfMissing: true)
        } catch {
            throw CommandFailure(
                message: "\(error)",
                details: [
                    "It seals the secrets of webhooks and the keys of sealed subjects; name it "
                        + "with --secrets-key."
                ])
        }
    }

    private var databaseFlag: String {
        databaseOptions.conninfo.map { _ in "--database …" }
            ?? "--data-dir \(databaseOptions.dataDirectory)"
    }
}

// MARK: Settings

extension Serve {
    struct Settings {
        var address: Address
        var logLevel: Logger.Level
        var readers: Int
        /// A URL without a slash at its end.
        var advertised: String?
    }

    /// Flags first, then the environment, then what suits most.
    private func settings() throws -> Settings {
        let listen = listen ?? Environment.value(.listen) ?? "127.0.0.1:8080"
        guard let address = Address(listen) else {
            throw ValidationError(
                "--listen (LEDGER_LISTEN) is host:port, such as 127.0.0.1:8080; not '\(listen)'.")
        }
        let level = logLevel ?? Environment.value(.logLevel) ?? "info"
        guard let logLevel = Logger.Level(rawValue: level) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level (LEDGER_LOG_LEVEL) is one of \(known).")
        }
        let readers =
            try readers
            ?? Environment.value(.readers).map { text in
                guard let number = Int(text) else {
                    throw ValidationError("LEDGER_READERS is a number, not '\(text)'.")
                }
                return number
            }
        guard (1...32).contains(readers ?? 4) else {
            throw ValidationError("--readers (LEDGER_READERS) is between 1 and 32.")
        }
        return Settings(
            address: address, logLevel: logLevel, readers: readers ?? 4,
            advertised: try advertised())
    }
}

extension Serve {
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

/// Where to listen.
struct Address: Equatable, CustomStringConvertible {
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`; an IPv6 host stands in brackets.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    var isLoopback: Bool {
        host == "localhost" || host == "::1"
            || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
    }

    /// The address for others: one that stands for all of a machine's is replaced by its name.
    var reachable: Address {
        guard ["0.0.0.0", "::", "*"].contains(host) else { return self }
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return self }
        return Address(
            host: String(decoding: name.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self),
            port: port)
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Tells the log as soon as the server is to stop.
private struct Farewell: Service {
    let log: EventLog
    /// Whether the server stops when another writes to its database.
    let endsWhenFenced: Bool

    private static let interval = Duration.seconds(1)

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            while true {
                // Ends with the shutdown, which is no error.
                do { try await Task.sleep(for: Self.interval) } catch { return }
                if endsWhenFenced, case .fenced(let reason) = log.sequencer.status {
                    throw CommandFailure(message: "this node may write no more: \(reason)")
                }
            }
        }
        log.beginStopping()
    }
}

/// What has to be done now and then.
private struct Upkeep: Service {
    let log: EventLog
    let logger: Logger

    /// Between two signs of life on idle feeds.
    private static let heartbeat = Duration.seconds(10)
    private static let heartbeatsPerHour = 360

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for beat in 0... {
                if beat % Self.heartbeatsPerHour == 0 { await forgetOldAnswers() }
                await completeErasures()
                do { try await Task.sleep(for: Self.heartbeat) } catch { return }
                log.view.wakeWaiters()
            }
        }
    }

    private func completeErasures() async {
        do {
            let count = try await log.completeErasures()
            if count > 0 {
                logger.notice("completed erasures", metadata: ["subjects": "\(count)"])
            }
        } catch {
            logger.error("could not complete an erasure", metadata: ["error": "\(error)"])
        }
    }

    private func forgetOldAnswers() async {
        do { try await log.forgetOldAnswers() } catch {
            logger.warning("could not forget old answers", metadata: ["error": "\(error)"])
        }
    }
}
