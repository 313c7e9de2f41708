import Curl
import Glibc
import Postgres
import Synchronization

/// A client that assigns one new subject after the other without pause, each under an idempotency
/// key, and asks again until it is answered.
final class Writer: Sendable {
    private struct Progress {
        var target: ServerAddress
        var acknowledged = 0
        var isStopping = false
        var failure: BenchmarkError?
        /// The first acknowledgement is awaited of what is asked for from then on.
        var awaitedFrom: ContinuousClock.Instant?
        var arrivedAt: ContinuousClock.Instant?
    }

    private let progress: Mutex<Progress>
    private let thread: Mutex<OSThread?> = Mutex(nil)

    private static let patience = Duration.seconds(60)
    private static let attemptMilliseconds = 20_000
    private static let retryMicroseconds: UInt32 = 5_000

    init(to target: ServerAddress) {
        progress = Mutex(Progress(target: target))
        thread.withLock { thread in
            thread = OSThread.start(name: "writer") { self.run() }
        }
    }

    /// Asks another server from the next request on.
    func turn(to target: ServerAddress) { progress.withLock { $0.target = target } }

    /// Ends once what is under way is acknowledged.
    func stop() {
        progress.withLock { $0.isStopping = true }
        thread.withLock { $0.take() }?.join()
    }

    /// How many writes are acknowledged.
    func acknowledged() throws -> Int {
        try progress.withLock { progress in
            if let failure = progress.failure { throw failure }
            return progress.acknowledged
        }
    }

    /// Waits for so many further acknowledgements.
    func waitForMore(_ count: Int) throws {
        let goal = progress.withLock { $0.acknowledged } + count
        _ = try wait("\(count) more writes") { $0.acknowledged >= goal ? true : nil }
    }

    /// Does something to the servers, and measures the time until the first acknowledgement of what
    /// is asked for after that.
    func timeToAnswer(after action: () -> Void) throws -> Duration {
        action()
        let started = ContinuousClock.now
        progress.withLock { progress in
            progress.awaitedFrom = started
            progress.arrivedAt = nil
        }
        return try wait("a write") { $0.arrivedAt } - started
    }

    private func wait<T>(_ what: String, for find: (Progress) -> T?) throws -> T {
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            let found: T? = try progress.withLock { progress in
                if let failure = progress.failure { throw failure }
                return find(progress)
            }
            if let found { return found }
            usleep(1_000)
        }
        throw BenchmarkError("waited a minute in vain for \(what) to be acknowledged")
    }

    // MARK: The thread

    private func run() {
        let transfer = Transfer()
        for number in 0... {
            guard !progress.withLock({ $0.isStopping }) else { return }
            let begun = ContinuousClock.now
            guard write(Script.padded(number), over: transfer) else { return }
            progress.withLock { progress in
                progress.acknowledged += 1
                if let from = progress.awaitedFrom, begun >= from {
                    progress.awaitedFrom = nil
                    progress.arrivedAt = .now
                }
            }
        }
    }

    /// Asks until it is done; false where that will never be.
    private func write(_ number: String, over transfer: Transfer) -> Bool {
        let deadline = ContinuousClock.now + Self.patience
        var said = "nothing"
        while ContinuousClock.now < deadline {
            let target = progress.withLock { $0.target }
            let request = target.request(
                "POST", Stage.path, Script.body(["written-\(number)"]),
                idempotencyKey: "write-\(number)", timeoutMilliseconds: Self.attemptMilliseconds)
            do {
                let answer = try transfer.perform(request)
                if answer.status == 200 { return true }
                said = "\(answer.status) " + String(decoding: answer.body, as: UTF8.self)
                // What is refused now will be refused again.
                if (400..<500).contains(answer.status) { break }
            } catch { said = "\(error)" }
            usleep(Self.retryMicroseconds)
        }
        let failure = BenchmarkError("write \(number) was not acknowledged: \(said)")
        progress.withLock { $0.failure = failure }
        return false
    }
}
