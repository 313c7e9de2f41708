import Domain
import EventLog
import FaultyReceiver
import Foundation
import JSON
import Postgres
import Secrets
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Webhooks

/// A clock that goes on only when a test says so.
final class ManualClock: Sendable {
    private let time = Mutex(Timestamp.now)

    var now: Timestamp { time.withLock { $0 } }

    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// A ledger of a test's own with a dispatcher, whose time is the test's.
final class DispatchedLedger: Sendable {
    let database: TestDatabase
    let log: EventLog
    let clock = ManualClock()
    let box: SecretBox
    private let current: Mutex<Dispatcher>

    private static let gate = Gate(4)

    var dispatcher: Dispatcher { current.withLock { $0 } }

    /// Runs a test with an active experiment `HERO` in the log.
    static func run(_ body: (DispatchedLedger) async throws -> Void) async throws {
        await gate.enter()
        defer { gate.leave() }
        let ledger = try await DispatchedLedger()
        let result: Result<Void, any Error>
        do { result = .success(try await body(ledger)) } catch { result = .failure(error) }
        await ledger.dispatcher.stop()
        ledger.log.stop()
        try result.get()
    }

    private init() async throws {
        database = try TestDatabase()
        log = try database.lead(metrics: LedgerMetrics())
        try await log.createExperiment("HERO")
        box = SecretBox(key: .init(size: .bits256))
        current = Mutex(
            try await Self.dispatcher(log, database, box, clock))
        wakeOnCommit()
    }

    private static func dispatcher(
        _ log: EventLog, _ database: TestDatabase, _ box: SecretBox, _ clock: ManualClock
    ) async throws -> Dispatcher {
        try await Dispatcher.start(
            log: log, conninfo: database.conninfo, secrets: box,
            clock: WebhookClock { clock.now }, timeout: .milliseconds(700),
            metrics: LedgerMetrics(), logger: .silent)
    }

    private func wakeOnCommit() {
        let dispatcher = dispatcher
        log.view.onCommit { dispatcher.wake() }
    }

    /// Ends the dispatcher, does something to the database, and starts another dispatcher, with
    /// another key file if one is given.
    func restart(box: SecretBox? = nil, after sql: String? = nil) async throws {
        await dispatcher.stop()
        if let sql { try database.execute(sql) }
        let next = try await Self.dispatcher(log, database, box ?? self.box, clock)
        current.withLock { $0 = next }
        wakeOnCommit()
    }

    // MARK: Endpoints

    /// Registers an endpoint at a receiver, and gives back its signing secret.
    @discardableResult
    func register(
        _ id: String, _ url: String, encoder: String = "standard-webhooks",
        events: String = "AssignmentMade", more: String = "", start: WebhookStart = .now
    ) async throws -> WebhookSecret {
        let body = """
            {"url":"\(url)","events":["\(events)"],"encoder":"\(encoder)",\
            "allow":["127.0.0.0/8"]\(more)}
            """
        let registration = try Registration(JSONValue.parse(Array(body.utf8)))
        var settings = registration.settings
        settings.sealed = try registration.secrets.sealed(for: id, in: box)
        let secret = WebhookSecret(generating: settings.signature)
        try await change(
            id, .create(id: id, settings, secret: secret.sealed(for: id, in: box), start: start))
        return secret
    }

    func change(_ id: String, _ command: WebhookCommand) async throws {
        try await log.submit(.webhook(id, command))
    }

    /// Assigns so many new subjects in one commit, and gives back their positions.
    @discardableResult
    func assign(_ subjects: [String]) async throws -> [Int64] {
        try await log.submit(.assign("HERO", subjects: subjects)).assignments.map(\.position)
    }

    func webhook(_ id: String) throws -> Webhook {
        try #require(log.view.snapshot.state.webhooks[id])
    }

    func status(_ id: String) async throws -> EndpointStatus {
        try #require(await dispatcher.status()[id])
    }

    // MARK: Time

    func advance(by duration: Duration) {
        clock.advance(by: duration)
        dispatcher.wake()
    }

    /// Waits until something holds; whether it does in the end.
    func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(20)
        let pause = Signal()
        while try await !condition() {
            if ContinuousClock.now > deadline { return false }
            _ = try await onThread { pause.wait(timeout: .milliseconds(2)) }
        }
        return true
    }

    /// Waits until an endpoint has got and answered so many events.
    func delivered(_ count: Int, to id: String) async throws -> Bool {
        try await eventually { try await status(id).counts.delivered >= count }
    }
}

extension Received {
    /// The log position of the one event in a body of Standard Webhooks.
    var position: Int64? {
        (try? JSONValue.parse(body))?["data"]?["position"]?.integer
    }

    /// The positions of the events in a body of NDJSON.
    var positions: [Int64] {
        body.split(separator: UInt8(ascii: "\n")).compactMap {
            (try? JSONValue.parse(Array($0)))?["position"]?.integer
        }
    }
}
