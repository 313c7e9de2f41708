import Curl
import EventLog
import HTTPAPI
import Hummingbird
import JSON
import Logging
import Postgres
import Projections
import Proof
import Replication
import ServiceLifecycle
import Telemetry
import TestSupport
import Testing
import Webhooks

/// A ledger served over HTTP on a free port of the loopback: a leader, or a follower of another.
struct TestNode: Sendable {
    let database: TestDatabase
    let log: EventLog
    let follower: Follower?
    let served: ServedResponder
    private let notary: Notary?
    private let directory: String
    private let results: ResultsReader

    var url: String { served.url }

    /// Leads a database and signs its checkpoints.
    static func leading(
        _ database: TestDatabase, key: SigningKey
    ) async throws -> TestNode {
        let log = try await onThread { try database.lead() }
        let directory = try temporaryDirectory()
        let notary = database.notary(key: key, directory: directory)
        notary.start(log)
        return try await serve(database, log, nil, notary, directory)
    }

    /// Follows another node, in a database of its own.
    static func following(
        _ url: String, in database: TestDatabase, trusted: VerifierKey? = nil,
        retries: Bool = false, shrunkenPatience: Duration = .seconds(15)
    ) async throws -> TestNode {
        let log = try await onThread {
            try EventLog.open(
                conninfo: database.conninfo, metrics: LedgerMetrics(), logger: .silent,
                isFollower: true)
        }
        let follower = try await onThread {
            do {
                return try Follower.start(
                    log: log, conninfo: database.conninfo,
                    options: Follower.Options(
                        source: SourceAddress(url: url, key: nil), trusted: trusted,
                        retries: retries, shrunkenPatience: shrunkenPatience),
                    metrics: LedgerMetrics(), logger: .silent)
            } catch {
                log.stop()
                throw error
            }
        }
        return try await serve(database, log, follower, nil, try temporaryDirectory())
    }

    private static func serve(
        _ database: TestDatabase, _ log: EventLog, _ follower: Follower?, _ notary: Notary?,
        _ directory: String
    ) async throws -> TestNode {
        let results = ResultsReader(pool: database.pool())
        let api = API(
            log: log, results: results, dispatchers: Dispatchers(nil), notary: notary,
            metrics: LedgerMetrics(), logger: .silent, servesWithoutKey: true, follower: follower)
        let served = try await ServedResponder.start { onRunning in
            api.application(host: "127.0.0.1", port: 0, onRunning: onRunning)
        }
        return TestNode(
            database: database, log: log, follower: follower, served: served, notary: notary,
            directory: directory, results: results)
    }

    func stop() async throws {
        log.beginStopping()
        try await served.stop()
        try await onThread {
            follower?.stop()
            notary?.stop()
            log.stop()
            results.pool.shutdown()
        }
        removeTree(directory)
    }

    /// The status of an answer, and its body as JSON.
    func get(_ path: String) async throws -> (status: Int, json: JSONValue) {
        let url = url + path
        return try await onThread {
            let response = try Transfer().perform(
                Curl.Request(url: url, timeoutMilliseconds: 30_000))
            return (response.status, (try? JSONValue.parse(response.body)) ?? .null)
        }
    }

    /// All lines that are stored.
    func lines() throws -> [[UInt8]] {
        let connection = try database.connect()
        defer { connection.close() }
        let page = try LinePage.read(
            after: 0, through: .max, limit: 1_000_000, bytesMax: 1 << 30, connection)
        return page.bytes.split(separator: 0x0A).map(Array.init)
    }

    /// Waits until as much is stored as another node has, and proven if asked for.
    func catchUp(with node: TestNode, proven: Bool = true) async {
        let position = node.log.view.position
        await follower?.wait {
            $0.divergence != nil
                || (proven ? $0.verifiedPosition : $0.position) >= position
        }
    }
}

/// An HTTP server in the background.
struct ServedResponder: Sendable {
    let url: String
    private let group: ServiceGroup
    private let serving: Task<Void, any Error>

    static func start<Server: ApplicationProtocol & Service>(
        _ make: (@escaping @Sendable (Int) async -> Void) -> Server
    ) async throws -> ServedResponder {
        let (ports, running) = AsyncStream.makeStream(of: Int.self)
        let server = make { running.yield($0) }
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: server)], logger: .silent))
        let serving = Task {
            defer { running.finish() }
            try await group.run()
        }
        let port = try #require(await ports.first { _ in true })
        return ServedResponder(
            url: "http://127.0.0.1:\(port)", group: group, serving: serving)
    }

    func stop() async throws {
        await group.triggerGracefulShutdown()
        try await serving.value
    }
}
