import Domain
import EventLog
import Logging
import Postgres
import Proof
import Synchronization
import Telemetry

/// Keeps a database the same as another ledger's log, line by line, wherever that runs.
///
/// One thread asks the source for lines and reads them, one for checkpoints, and one writes: it alone
/// knows the tree and decides what is stored (``FollowedTree``). It holds the leader's lock of its
/// database and writes under an epoch of its own, as the sequencer would, so nobody else does.
///
/// What it commits it publishes to the log's view: reads, the feed and results are then as they are
/// anywhere. What does not fit stops it for good (``Divergence``).
package final class Follower: Sendable {
    package struct Options: Sendable {
        package var source: SourceAddress
        /// The key to trust; nil trusts the one that the source has at the first use.
        package var trusted: VerifierKey?
        /// Whether to try once more what stopped the follower before.
        package var retries: Bool
        /// How long the source may be behind before that means that it has lost events.
        package var shrunkenPatience: Duration

        package init(
            source: SourceAddress, trusted: VerifierKey? = nil, retries: Bool = false,
            shrunkenPatience: Duration = .seconds(15)
        ) {
            self.source = source
            self.trusted = trusted
            self.retries = retries
            self.shrunkenPatience = shrunkenPatience
        }
    }

    package let source: SourceAddress
    let log: EventLog
    let conninfo: String
    let key: VerifierKey
    let options: Options
    let logger: Logger
    let inbox = Inbox()
    private let shared: Mutex<Shared>
    private let stopping = Signal()
    private let stopRequested = Atomic<Bool>(false)
    private let writer: Mutex<OSThread?> = Mutex(nil)
    private let endings = Mutex(Endings())

    private init(
        _ log: EventLog, _ conninfo: String, _ key: VerifierKey, _ options: Options,
        _ notes: ReplicationNotes, _ logger: Logger
    ) {
        self.log = log
        self.conninfo = conninfo
        self.key = key
        self.options = options
        self.logger = logger
        source = options.source
        shared = Mutex(Shared(notes: notes))
    }

    /// Begins to follow, with a log that was opened and is not led.
    ///
    /// The first time it asks the source, and throws where that does not answer; later it begins
    /// with what is stored, and the source may be away.
    package static func start(
        log: EventLog, conninfo: String, options: Options, metrics: LedgerMetrics, logger: Logger
    ) throws -> Follower {
        let connection = try Leadership.connect(conninfo)
        do {
            try FollowerDatabase.lock(connection)
            let origin = try FollowerDatabase.adopt(options, connection, logger)
            let copy = try FollowerDatabase.open(origin, connection, logger)
            log.view.publish(copy.state, copy.head)
            var notes = ReplicationNotes(
                position: copy.head.position, verifiedPosition: Int64(copy.tree.verified.size),
                now: .now)
            notes.divergence = origin.divergence
            notes.sourceEpoch = origin.sourceEpoch
            let follower = Follower(log, conninfo, origin.key, options, notes, logger)
            follower.register(in: metrics)
            follower.run(WriterThread(follower, connection, copy))
            return follower
        } catch {
            connection.close()
            throw error
        }
    }

    private func run(_ writer: WriterThread) {
        if let divergence = status.divergence {
            logger.error(
                "this follower stays stopped",
                metadata: ["reason": "\(divergence)", "advice": "\(divergence.advice)"])
        } else {
            let position = log.view.head
            OSThread.start(name: "follower lines") { self.fetchLines(after: position) }
            OSThread.start(name: "follower notes") { self.fetchCheckpoints() }
        }
        self.writer.withLock { $0 = OSThread.start(name: "follower writer") { writer.run() } }
    }

    // MARK: Status

    private struct Shared {
        var notes: ReplicationNotes
        var watchers: [Watcher] = []
        var isStopped = false
    }

    private struct Watcher {
        let isMet: @Sendable (ReplicationStatus) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    var sourceEpoch: Int64 { shared.withLock { $0.notes.sourceEpoch } }

    package var status: ReplicationStatus {
        shared.withLock { $0.notes.status(source: source.url, at: .now) }
    }

    /// Returns once the status is as it is waited for, or the follower is stopped.
    package func wait(until isMet: @escaping @Sendable (ReplicationStatus) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isOver = shared.withLock { shared in
                if shared.isStopped || isMet(shared.notes.status(source: source.url, at: .now)) {
                    return true
                }
                shared.watchers.append(Watcher(isMet: isMet, continuation: continuation))
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    func note(_ change: (inout ReplicationNotes) -> Void) {
        let served = shared.withLock { shared -> [Watcher] in
            change(&shared.notes)
            guard !shared.watchers.isEmpty else { return [] }
            let status = shared.notes.status(source: source.url, at: .now)
            let served = shared.watchers.filter { $0.isMet(status) }
            if !served.isEmpty { shared.watchers.removeAll { $0.isMet(status) } }
            return served
        }
        for watcher in served { watcher.continuation.resume() }
    }

    /// Notes what keeps a thread from its work, or that nothing does, and logs each change.
    func note(_ trouble: String?, of thread: ReplicationNotes.Thread) {
        let before = shared.withLock { $0.notes.troubles[thread] }
        guard before != trouble else { return }
        note { $0.troubles[thread] = trouble }
        if let trouble {
            logger.warning("the source can't be followed", metadata: ["error": "\(trouble)"])
        } else {
            logger.notice("the source can be followed again")
        }
    }

    /// Why a follower follows no more.
    package enum Ending: Sendable, Equatable {
        /// The database is a ledger of its own now.
        case promoted
        /// Someone else writes to the database.
        case fenced(String)
    }

    private struct Endings {
        var ending: Ending?
        var action: @Sendable (Ending) -> Void = { _ in }
    }

    /// Calls `action` once the follower follows no more, though nobody has stopped it.
    package func onEnding(_ action: @escaping @Sendable (Ending) -> Void) {
        let ending = endings.withLock { endings in
            endings.action = action
            return endings.ending
        }
        if let ending { action(ending) }
    }

    func end(_ ending: Ending) {
        logger.notice("this follower has ended", metadata: ["reason": "\(ending)"])
        if ending == .promoted { note { $0.isPromoted = true } }
        inbox.close()
        let action = endings.withLock { endings in
            endings.ending = ending
            return endings.action
        }
        action(ending)
    }

    private func register(in metrics: LedgerMetrics) {
        func show(
            _ name: String, _ help: String,
            _ value: @escaping @Sendable (ReplicationStatus) -> Double
        ) {
            metrics.registry.gauge("ledger_replication_\(name)", help: help) { [weak self] in
                self.map { value($0.status) } ?? 0
            }
        }
        show("lag_events", "Events of the source that the follower has not stored.") {
            Double($0.lagEvents)
        }
        show("lag_seconds", "Time since the follower held all that its source did.") {
            $0.lagSeconds
        }
        show("position", "Position of the last event stored.") { Double($0.position) }
        show("verified_position", "Position of the last event that a signed checkpoint covers.") {
            Double($0.verifiedPosition)
        }
        show("diverged", "1 where the source sent what does not fit, and nothing is served.") {
            $0.state == .diverged ? 1 : 0
        }
        show("connected", "1 while the source answers.") {
            [.live, .catchingUp].contains($0.state) ? 1 : 0
        }
    }

    // MARK: Threads

    var isStopping: Bool { stopRequested.load(ordering: .acquiring) || inbox.isClosed }

    /// Waits before another attempt; shorter when the follower is to stop.
    func pause(_ duration: Duration) { _ = stopping.waitUntilRaised(timeout: duration) }

    /// Ends the thread that writes, after the transaction that it is in; those that ask the source
    /// end with the answers they wait for.
    package func stop() {
        stopRequested.store(true, ordering: .releasing)
        stopping.wake()
        inbox.close()
        writer.withLock { $0.take() }?.join()
        let watchers = shared.withLock { shared in
            shared.isStopped = true
            defer { shared.watchers = [] }
            return shared.watchers
        }
        for watcher in watchers { watcher.continuation.resume() }
    }
}
