import Curl
import Postgres
import Synchronization

/// Sends requests to the node that leads, many at once, over libcurl on a thread of its own.
///
/// Each is sent at most once. Those in flight are given up as soon as another node leads: the old
/// one may be frozen, and never answer.
final class LeaderClient: Sendable {
    /// A request as it is passed on.
    struct Passed: Sendable {
        var method: String
        /// Path and query, as they came.
        var target: String
        var headers: [Header]
        var body: [UInt8]
    }

    private struct Job: Sendable {
        let request: Passed
        let leader: String
        let answer: @Sendable (Outcome) -> Void
    }

    private struct Inbox {
        var jobs: [Job] = []
        var waker: Waker?
        var isStopped = false
    }

    private let inbox = Mutex(Inbox())
    private let leader: @Sendable () -> String?
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// How long an answer may take; long enough for all that a leader does for one.
    private static let timeout = Duration.seconds(40)
    /// How often it is looked whether another node leads, while answers are awaited.
    private static let watchInterval = Duration.milliseconds(100)

    /// - Parameter leader: The base URL of the node that leads now, if it is another one.
    init(leader: @escaping @Sendable () -> String?) {
        self.leader = leader
        thread.withLock { thread in
            thread = OSThread.start(name: "leader client") { [weak self] in self?.run() }
        }
    }

    /// Sends a request to a leader, and returns what came of it.
    func send(_ request: Passed, to leader: String) async -> Outcome {
        await withCheckedContinuation { continuation in
            let job = Job(request: request, leader: leader) { continuation.resume(returning: $0) }
            let (isStopped, waker) = inbox.withLock { inbox in
                if !inbox.isStopped { inbox.jobs.append(job) }
                return (inbox.isStopped, inbox.waker)
            }
            if isStopped { job.answer(Self.notSent) }
            waker?.wake()
        }
    }

    /// Ends the thread; what is in flight is not waited for.
    func stop() {
        let waker = inbox.withLock { inbox in
            inbox.isStopped = true
            return inbox.waker
        }
        waker?.wake()
        thread.withLock { $0.take() }?.join()
    }

    private static let notSent = Outcome(
        error: CurlError(kind: .broken, description: "the node is shutting down"))

    // MARK: The thread

    private func run() {
        let transfers = MultiTransfer(idleTransfersPerTargetMax: 256)
        inbox.withLock { $0.waker = transfers.waker }
        var target: Target?
        var inFlight: [UInt64: Job] = [:]
        var lastID: UInt64 = 0
        while true {
            let (jobs, isStopped) = inbox.withLock { inbox in
                defer { inbox.jobs = [] }
                return (inbox.jobs, inbox.isStopped)
            }
            for job in jobs {
                if target?.options.url != job.leader { target = Self.target(job.leader) }
                guard let target else { continue }
                lastID += 1
                inFlight[lastID] = job
                transfers.start(
                    target, url: job.leader + job.request.target, method: job.request.method,
                    headers: job.request.headers, body: RequestBody(job.request.body), id: lastID)
            }
            let current = leader()
            for (id, job) in inFlight where isStopped || job.leader != current {
                transfers.cancel(id)
                inFlight[id] = nil
                job.answer(Self.givenUp)
            }
            if isStopped { return }
            transfers.run(timeout: inFlight.isEmpty ? nil : Self.watchInterval) { id, outcome in
                inFlight.removeValue(forKey: id)?.answer(outcome)
            }
        }
    }

    /// An answer that is not waited for any more; the request may have been carried out.
    private static let givenUp = Outcome(
        error: CurlError(kind: .broken, description: "another node leads now"), wasSent: true)

    private static func target(_ url: String) -> Target {
        var options = Target.Options(url: url)
        options.connectTimeoutMilliseconds = 1_000
        options.timeoutMilliseconds = Int(timeout.components.seconds) * 1_000
        options.headBytesMax = 64 << 10
        options.bodyBytesMax = 64 << 20
        options.bodyBytesKept = options.bodyBytesMax
        options.keepsHead = true
        return Target(options) { _ in true }
    }
}
