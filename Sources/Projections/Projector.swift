import EventLog
import Logging
import Postgres
import Synchronization
import Telemetry

/// Keeps the projections close behind the log, on a thread of its own.
///
/// A commit wakes it, and so does a clock behind that, for commits of other nodes. Whatever fails,
/// it says so, waits a little longer each time, and starts over from the checkpoint.
package final class Projector: Sendable {
    private struct Waiter {
        let position: Int64
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct Waiting {
        var waiters: [Waiter] = []
        var isStopped = false
    }

    private let conninfo: String
    private let metrics: LedgerMetrics
    private let logger: Logger
    private let commits = Signal()
    private let stopping = Signal()
    private let isStopping = Atomic<Bool>(false)
    private let reached = Atomic<Int64>(0)
    private let waiting = Mutex(Waiting())
    private let thread: Mutex<OSThread?> = Mutex(nil)

    private static let pollInterval = Duration.milliseconds(250)
    /// Leaves the commits of a busy ledger time to gather, and the writer its share of the machine.
    private static let stepInterval = Duration.milliseconds(20)
    private static let retryDelayMin = Duration.milliseconds(100)
    private static let retryDelayMax = Duration.seconds(5)

    private init(conninfo: String, metrics: LedgerMetrics, logger: Logger) {
        self.conninfo = conninfo
        self.metrics = metrics
        self.logger = logger
    }

    /// Starts to follow the log of a database.
    ///
    /// Throws if the database can't be reached or holds no ledger; later it waits for it instead.
    package static func start(
        conninfo: String, metrics: LedgerMetrics, logger: Logger
    ) throws -> Projector {
        let connection = try Connection(conninfo, applicationName: "ledger projector")
        defer { connection.close() }
        _ = try Rebuild.head(connection)
        let projector = Projector(conninfo: conninfo, metrics: metrics, logger: logger)
        projector.thread.withLock { thread in
            thread = OSThread.start(name: "projector") { projector.run() }
        }
        return projector
    }

    /// The last event that the projections hold.
    package var position: Int64 { reached.load(ordering: .acquiring) }

    /// Says that something was committed.
    package func wake() { commits.wake() }

    /// Returns once the projections hold the event at a position, or the projector is stopped.
    package func wait(for position: Int64) async {
        await withCheckedContinuation { continuation in
            let isOver = waiting.withLock { waiting in
                if waiting.isStopped || self.position >= position { return true }
                waiting.waiters.append(Waiter(position: position, continuation: continuation))
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    /// Ends the thread, after the transaction that it is in.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        stopping.wake()
        commits.wake()
        thread.withLock { $0.take() }?.join()
        let waiters = waiting.withLock { waiting in
            waiting.isStopped = true
            defer { waiting.waiters = [] }
            return waiting.waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    // MARK: The thread

    private func run() {
        var follower: Follower?
        var delay = Self.retryDelayMin
        while !isStopping.load(ordering: .acquiring) {
            do {
                let current = try follower ?? open()
                follower = current
                let started = ContinuousClock.now
                let place = try current.step()
                delay = Self.retryDelayMin
                publish(place)
                if place.position == place.head { waitForCommits(since: started) }
            } catch is CancellationError {
                break
            } catch {
                logger.error(
                    "projections", metadata: ["error": "\(error)", "retryIn": "\(delay)"])
                follower?.close()
                follower = nil
                _ = stopping.waitUntilRaised(timeout: delay)
                delay = min(delay * 2, Self.retryDelayMax)
            }
        }
        follower?.close()
    }

    private func waitForCommits(since started: ContinuousClock.Instant) {
        commits.wait(timeout: Self.pollInterval)
        let pause = Self.stepInterval - (ContinuousClock.now - started)
        if pause > .zero { _ = stopping.waitUntilRaised(timeout: pause) }
    }

    private func open() throws -> Follower {
        try Follower(conninfo: conninfo) { [self] done, total in
            if isStopping.load(ordering: .acquiring) { throw CancellationError() }
            metrics.projectionLag.set(total - done)
        }
    }

    private func publish(_ place: Follower.Place) {
        metrics.projectionPosition.set(Double(place.position))
        metrics.projectionLag.set(Double(place.head - place.position))
        reached.store(place.position, ordering: .releasing)
        let served = waiting.withLock { waiting in
            let served = waiting.waiters.filter { $0.position <= place.position }
            if !served.isEmpty { waiting.waiters.removeAll { $0.position <= place.position } }
            return served
        }
        for waiter in served { waiter.continuation.resume() }
    }
}
