import Domain
import Logging
import Postgres
import Synchronization
import Telemetry

/// The one writer: drains a queue of commands and commits their events, a batch at a time.
///
/// A thread of its own holds the one connection that writes. While a batch commits the next one
/// fills, so the busier the ledger the more requests share a commit; nothing waits for a timer.
///
/// When the connection breaks the outcome of the commit in flight is unknown. The sequencer then
/// connects again, takes the leader's lock, which PostgreSQL gives only once the broken session is
/// over, and reads the head: at the batch's end it was committed, at its start it was not and is
/// sent again, anywhere else another leader has written: what this one sent is then looked up by
/// its ID, and it writes no more under its epoch.
package final class Sequencer: Sendable {
    /// What the sequencer is doing, for `/readyz` and the log.
    package enum Status: Sendable, Equatable {
        case leading
        /// The database can't be reached; commands wait.
        case reconnecting(String)
        /// Another node leads; the text is what keeps this one from reading along, if anything.
        case standby(trouble: String?)
        /// Another node leads, or the log was changed underneath: nothing more is written.
        case fenced(String)
        case stopped

        /// Whether the node is the one that appends, also while it looks for its database.
        package var isLeading: Bool {
            switch self {
            case .leading, .reconnecting: true
            case .standby, .fenced, .stopped: false
            }
        }
    }

    private let queue = SubmissionQueue()
    private let shared: Mutex<Status>
    private let stopRequested = Atomic<Bool>(false)
    private let wakeUp = Signal()
    private let thread: Mutex<OSThread?> = Mutex(nil)
    private let observer: Mutex<@Sendable (Status) -> Void> = Mutex({ _ in })
    let view: LedgerView
    let conninfo: String
    let metrics: LedgerMetrics
    let logger: Logger

    init(view: LedgerView, conninfo: String, metrics: LedgerMetrics, logger: Logger) {
        self.view = view
        self.conninfo = conninfo
        self.metrics = metrics
        self.logger = logger
        shared = Mutex(.standby(trouble: nil))
    }

    package var status: Status { shared.withLock { $0 } }

    package var queueDepth: Int { queue.depth }

    func setStatus(_ status: Status) {
        let changed = shared.withLock { current in
            defer { current = status }
            return current != status
        }
        guard changed else { return }
        logger.notice("sequencer", metadata: ["status": "\(status)"])
        observer.withLock { $0 }(status)
    }

    /// Calls `action` with each change of status, on the sequencer's thread: it must be quick.
    package func onChange(_ action: @escaping @Sendable (Status) -> Void) {
        observer.withLock { $0 = action }
    }

    package var isLeading: Bool { status.isLeading }

    /// Starts the thread that appends, or waits for its turn to.
    func start(_ body: @escaping @Sendable () -> Void) {
        thread.withLock { $0 = OSThread.start(name: "sequencer", body) }
    }

    /// Takes commands from now on.
    func beginLeading() {
        queue.open()
        setStatus(.leading)
    }

    /// Takes no more commands, and refuses those that wait: another node leads.
    func endLeading(_ reason: String) {
        let waiting = queue.suspend()
        setStatus(.fenced(reason))
        for submission in waiting { submission.reply(.failure(.notLeading)) }
    }

    /// Puts a command in the queue and waits for its commit.
    package func submit(
        _ command: Command, _ context: CommandContext
    ) async throws(SequencerError) -> Receipt {
        let result = await withCheckedContinuation { continuation in
            let submission = Submission(command: command, context: context) {
                continuation.resume(returning: $0)
            }
            switch queue.add(submission) {
            case nil: return
            case .full: continuation.resume(returning: .failure(.busy))
            case .notLeading: continuation.resume(returning: .failure(.notLeading))
            case .closed: continuation.resume(returning: .failure(.stopping))
            }
        }
        return try result.get()
    }

    /// The next batch of submissions, empty after the timeout; nil once the sequencer is to stop
    /// and has answered all.
    func next(timeout: Duration) -> [Submission]? { queue.take(timeout: timeout) }

    /// The submissions that wait behind the present batch.
    func waiting() -> [Submission] { queue.takeAll() }

    /// Whether waiting for the database has to end.
    var isStopping: Bool { stopRequested.load(ordering: .acquiring) }

    /// Waits before another attempt; shorter when the sequencer is to stop.
    func pause(_ duration: Duration) { _ = wakeUp.wait(timeout: duration) }

    /// Raised when the sequencer is to stop.
    var stopSignal: Signal { wakeUp }

    /// From now on an absent database is waited for only a little longer.
    package func beginStopping() {
        stopRequested.store(true, ordering: .releasing)
        wakeUp.wake()
    }

    /// Takes no more commands, commits and answers those that wait, and ends the thread.
    package func stop() {
        beginStopping()
        queue.close()
        thread.withLock { $0 }?.join()
    }
}
