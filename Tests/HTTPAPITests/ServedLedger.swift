import Curl
import Domain
import EventLog
import JSON
import Logging
import Postgres
import Projections
import Proof
import Secrets
import ServiceLifecycle
import Telemetry
import TestSupport
import Testing
import Webhooks

@testable import HTTPAPI

/// A ledger of a test's own, served over HTTP on a free port of the loopback.
struct ServedLedger: Sendable {
    let log: EventLog
    let database: TestDatabase
    let port: Int

    private static let gate = Gate(6)

    /// Serves an empty ledger while `body` runs; its projections are kept where `projecting` says so,
    /// and webhooks are delivered where `dispatching` does. Without `hasKeys` it can't tell sealed
    /// subjects apart.
    static func run(
        servesWithoutKey: Bool = true, projecting: Bool = false, dispatching: Bool = false,
        hasKeys: Bool = true, logger: Logger = .silent,
        _ body: (ServedLedger) async throws -> Void
    ) async throws {
        await gate.enter()
        defer { gate.leave() }
        let database = try TestDatabase()
        let metrics = LedgerMetrics()
        let secrets = hasKeys ? SecretBox.ofTest() : nil
        let log = try database.lead(metrics: metrics, secrets: secrets)
        let projector =
            projecting
            ? try Projector.start(
                conninfo: database.conninfo, metrics: metrics, logger: logger) : nil
        defer { projector?.stop() }
        let dispatcher =
            dispatching ? try await dispatcher(log, database, metrics, logger) : nil
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let notary = database.notary(key: try SigningKey(), directory: directory)
        notary.start(log)
        defer { notary.stop() }
        log.view.onCommit {
            projector?.wake()
            dispatcher?.wake()
        }
        let results = ResultsReader(pool: database.pool())
        defer { results.pool.shutdown() }
        let api = API(
            log: log, results: results, dispatchers: Dispatchers(dispatcher), notary: notary,
            metrics: metrics, logger: logger, servesWithoutKey: servesWithoutKey)
        try await serve(api) { port in
            try await body(ServedLedger(log: log, database: database, port: port))
        } ending: {
            await dispatcher?.stop()
            log.stop()
        }
    }

    /// Serves nodes that share a database, each on a port of its own, while `body` runs.
    static func nodes(
        _ count: Int, _ body: ([ServedLedger]) async throws -> Void
    ) async throws {
        await gate.enter()
        defer { gate.leave() }
        try await addNode(to: [], of: count, TestDatabase(), .ofTest(), body)
    }

    private static func addNode(
        to nodes: [ServedLedger], of count: Int, _ database: TestDatabase, _ secrets: SecretBox,
        _ body: ([ServedLedger]) async throws -> Void
    ) async throws {
        guard nodes.count < count else { return try await body(nodes) }
        let log = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent, secrets: secrets)
        let results = ResultsReader(pool: database.pool())
        defer { results.pool.shutdown() }
        let api = API(
            log: log, results: results, dispatchers: Dispatchers(), metrics: .init(),
            logger: .silent, servesWithoutKey: true, sharesDatabase: true)
        defer { api.stop() }
        try await serve(api) { port in
            log.join(url: "http://127.0.0.1:\(port)")
            try await addNode(
                to: nodes + [ServedLedger(log: log, database: database, port: port)], of: count,
                database, secrets, body)
        } ending: {
            log.stop()
        }
    }

    /// Listens on a free port while `body` runs.
    private static func serve(
        _ api: API, _ body: (Int) async throws -> Void, ending: () async -> Void
    ) async throws {
        let (ports, running) = AsyncStream.makeStream(of: Int.self)
        let server = api.application(host: "127.0.0.1", port: 0) { running.yield($0) }
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: server)], logger: .silent))
        let serving = Task {
            defer { running.finish() }
            try await group.run()
        }
        let port = try #require(await ports.first { _ in true })
        let result: Result<Void, any Error>
        do { result = .success(try await body(port)) } catch { result = .failure(error) }
        api.log.beginStopping()
        await group.triggerGracefulShutdown()
        try await serving.value
        await ending()
        try result.get()
    }

    private static func dispatcher(
        _ log: EventLog, _ database: TestDatabase, _ metrics: LedgerMetrics, _ logger: Logger
    ) async throws -> Dispatcher {
        try await Dispatcher.start(
            log: log, conninfo: database.conninfo, secrets: .ofTest(), metrics: metrics,
            logger: logger)
    }

    /// Sends a request; its answer has to be as `schema/openapi.yaml` says.
    @discardableResult
    func send(
        _ method: String, _ path: String, _ body: String? = nil,
        headers: [(String, String)] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            method, path, bytes: body.map { Array($0.utf8) }, headers: headers,
            sourceLocation: sourceLocation)
    }

    @discardableResult
    func send(
        _ method: String, _ path: String, bytes: [UInt8]?, headers: [(String, String)] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        let url = "http://127.0.0.1:\(port)\(path)"
        let response = try await onThread {
            try Transfer().perform(
                Request(
                    method: method, url: url, headers: headers, body: bytes,
                    timeoutMilliseconds: 60_000))
        }
        let answer = Answer(response: response)
        let faults = OpenAPIDocument.shared.faults(method, path, answer)
        #expect(faults.isEmpty, "\(method) \(path)", sourceLocation: sourceLocation)
        return answer
    }

    func get(
        _ path: String, accept: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            "GET", path, headers: accept.map { [("Accept", $0)] } ?? [],
            sourceLocation: sourceLocation)
    }

    func apply(
        _ document: String, query: String = "", headers: [(String, String)] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            "PUT", "/v1/resources\(query)", document, headers: headers,
            sourceLocation: sourceLocation)
    }

    func applyYAML(
        _ document: String, query: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await apply(
            document, query: query, headers: [("Content-Type", "application/yaml")],
            sourceLocation: sourceLocation)
    }
}

struct Answer: Sendable {
    let response: Response

    var status: Int { response.status }
    var text: String { String(decoding: response.body, as: UTF8.self) }
    var contentType: String { header("Content-Type") ?? "" }
    func header(_ name: String) -> String? { response.head.header(name) }

    /// The body as JSON; null where it is none.
    var json: JSONValue { (try? JSONValue.parse(response.body)) ?? .null }

    subscript(key: String) -> JSONValue? { json[key] }

    /// The problem's type without what all have in common.
    var problem: String? { json["type"]?.string?.split(separator: ":").last.map(String.init) }
    var detail: String { json["detail"]?.string ?? "" }
    var pointers: [String] {
        json["errors"]?.array?.compactMap { $0["pointer"]?.string } ?? []
    }
    var items: [JSONValue] { json["items"]?.array ?? [] }
    /// Lines of NDJSON.
    var lines: [JSONValue] {
        response.body.split(separator: UInt8(ascii: "\n")).compactMap {
            try? JSONValue.parse(Array($0))
        }
    }
}

extension String {
    /// Percent-encoded as one part of a path.
    var part: String {
        utf8.map { byte in
            let isPlain = UnicodeScalar(byte).properties.isAlphabetic && byte < 0x80
            return isPlain
                ? String(UnicodeScalar(byte))
                : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }
}

extension [JSONValue] {
    func texts(_ key: String) -> [String] { compactMap { $0[key]?.string } }
    func integers(_ key: String) -> [Int64] { compactMap { $0[key]?.integer } }
}
