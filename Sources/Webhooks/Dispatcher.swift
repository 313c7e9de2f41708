import Domain
import EventLog
import Logging
import Postgres
import Secrets
import Synchronization
import Telemetry

/// The time as the dispatcher sees it; tests bring their own.
package struct WebhookClock: Sendable {
    package var now: @Sendable () -> Timestamp

    package init(now: @escaping @Sendable () -> Timestamp) { self.now = now }

    package static let system = WebhookClock { .now }
}

/// Pushes events to webhook endpoints: at least once, in order per key, for days of outage.
///
/// One thread owns all endpoints and all transfers; others only leave messages in its inbox. What
/// is done is kept in the database now and then, so a crash repeats a bounded stretch and skips
/// nothing: at most what was settled in the last ``keepInterval``, and never more than
/// ``eventsRepeatedMax`` events of an endpoint beyond the requests that were in flight.
///
/// Only the node that leads dispatches. What it keeps is written under its epoch, so a node that
/// was overtaken notices and stops.
package final class Dispatcher: Sendable {
    /// Events an endpoint may get again after a crash, besides those that were in flight.
    package static let eventsRepeatedMax = Endpoint.unkeptMax
    /// For how long what is done may not be kept.
    package static let keepInterval = Duration.seconds(10)

    /// Who records what becomes of endpoints.
    static let actor = "dispatcher"
    /// Which program the events come from, where an encoder says so.
    static let source = "/ledger"

    let log: EventLog
    /// Under which its node led when it started; another's dispatcher follows under the next.
    let epoch: Int64
    let store: ProgressStore
    let reader: BlockReader
    let secrets: SecretBox
    let clock: WebhookClock
    let timeout: Duration
    let logger: Logger
    let inbox = Inbox()
    private let statuses = Mutex<[String: EndpointStatus]>([:])
    private struct Ending {
        var isOver = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let ending = Mutex(Ending())

    private init(
        log: EventLog, conninfo: String, secrets: SecretBox, clock: WebhookClock,
        timeout: Duration, logger: Logger
    ) {
        self.log = log
        epoch = log.epoch
        self.secrets = secrets
        self.clock = clock
        self.timeout = timeout
        self.logger = logger
        store = ProgressStore(
            pool: ConnectionPool(conninfo: conninfo, size: 1, name: "ledger webhook progress"))
        reader = BlockReader(conninfo: conninfo)
    }

    /// Starts to dispatch from where the last dispatcher left off.
    ///
    /// - Parameter timeout: for a whole request, from name look-up to the last byte of the answer.
    package static func start(
        log: EventLog, conninfo: String, secrets: SecretBox, clock: WebhookClock = .system,
        timeout: Duration = .seconds(15), metrics: LedgerMetrics, logger: Logger
    ) async throws -> Dispatcher {
        let dispatcher = Dispatcher(
            log: log, conninfo: conninfo, secrets: secrets, clock: clock, timeout: timeout,
            logger: logger)
        WebhookMetrics.register(in: metrics.registry) { [weak dispatcher] in
            dispatcher?.recentStatus ?? [:]
        }
        let progress = try await dispatcher.store.progress()
        let failures = try await dispatcher.store.failureCounts()
        OSThread.start(name: "webhooks") {
            DispatcherThread(dispatcher, progress: progress, failures: failures).run()
            dispatcher.ended()
        }
        return dispatcher
    }

    /// Says that something was committed, or that the clock went on.
    package func wake() { inbox.wake() }

    /// Lets requests in flight end, for a moment; keeps what is done; ends the thread.
    package func stop() async {
        inbox.post(.stop)
        await withCheckedContinuation { continuation in
            let isOver = ending.withLock { ending in
                if !ending.isOver { ending.waiters.append(continuation) }
                return ending.isOver
            }
            if isOver { continuation.resume() }
        }
        reader.shutdown()
        store.pool.shutdown()
    }

    private func ended() {
        let waiters = ending.withLock { ending in
            ending.isOver = true
            return ending.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: What operators ask

    /// How the endpoints are doing, as of about a second ago.
    package var recentStatus: [String: EndpointStatus] { statuses.withLock { $0 } }

    /// How the endpoints are doing now; empty once the dispatcher has stopped.
    package func status() async -> [String: EndpointStatus] {
        await withCheckedContinuation { continuation in
            inbox.post(.status { continuation.resume(returning: $0) })
        }
    }

    func publish(_ all: [String: EndpointStatus]) { statuses.withLock { $0 = all } }

    /// Sends a signed sample to an endpoint, whatever its state, and tells what came back; nil if
    /// there is no such endpoint.
    package func test(_ webhook: String) async -> TestReport? {
        await withCheckedContinuation { continuation in
            inbox.post(.test(webhook) { continuation.resume(returning: $0) })
        }
    }

    /// What secrets are sealed with.
    package var secretBox: SecretBox { secrets }

    /// Events that an endpoint did not take.
    package var failures: ProgressStore { store }

    /// Delivers events once more that were set aside: those given, or all.
    ///
    /// - Returns: the positions of those that were found.
    package func redeliver(_ positions: [Int64]?, of webhook: String) async throws -> [Int64] {
        let found = try await store.request(positions, of: webhook, at: clock.now())
        if !found.isEmpty { inbox.post(.redeliver(webhook)) }
        return found
    }
}
