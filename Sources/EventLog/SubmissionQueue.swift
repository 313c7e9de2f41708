import Domain
import Postgres
import Synchronization

/// Submissions on their way to the sequencer's thread: bounded, first come first served.
final class SubmissionQueue: Sendable {
    private struct Contents {
        var submissions: [Submission] = []
        /// The sum of their weights.
        var weight = 0
        var admission = Admission.notLeading
        /// Whether the sequencer sleeps and has to be woken.
        var isWaiting = false
    }

    private let contents = Mutex(Contents())
    private let signal = Signal()

    /// Whether submissions are taken.
    private enum Admission { case open, notLeading, closed }

    /// Why a submission was not taken.
    enum Rejection { case full, notLeading, closed }

    var depth: Int { contents.withLock { $0.submissions.count } }

    func add(_ submission: Submission) -> Rejection? {
        let (rejection, wake) = contents.withLock { contents -> (Rejection?, Bool) in
            switch contents.admission {
            case .open: break
            case .notLeading: return (.notLeading, false)
            case .closed: return (.closed, false)
            }
            let weight = contents.weight + submission.weight
            if contents.submissions.count >= Limits.queueSubmissionsMax
                || (weight > Limits.queueEventsMax && contents.weight > 0)
            {
                return (.full, false)
            }
            contents.submissions.append(submission)
            contents.weight = weight
            defer { contents.isWaiting = false }
            return (nil, contents.isWaiting)
        }
        if wake { signal.wake() }
        return rejection
    }

    /// The next batch: everything that waits, up to the events one commit may hold.
    ///
    /// Blocks while there is nothing, at most until the timeout: the batch is empty then. Nil once
    /// the queue is closed and empty.
    func take(timeout: Duration) -> [Submission]? {
        while true {
            let (batch, isClosed) = contents.withLock { contents -> ([Submission], Bool) in
                var weight = 0
                let count =
                    contents.submissions.firstIndex { submission in
                        defer { weight += submission.weight }
                        return weight > 0 && weight + submission.weight > Limits.batchEventsMax
                    } ?? contents.submissions.count
                let batch = Array(contents.submissions.prefix(count))
                contents.submissions.removeFirst(count)
                contents.weight -= batch.reduce(0) { $0 + $1.weight }
                contents.isWaiting = batch.isEmpty
                return (batch, contents.admission == .closed)
            }
            if !batch.isEmpty { return batch }
            if isClosed { return nil }
            guard signal.wait(timeout: timeout) else { return [] }
        }
    }

    /// Everything that waits now, without blocking.
    func takeAll() -> [Submission] {
        contents.withLock { contents in
            defer { (contents.submissions, contents.weight) = ([], 0) }
            return contents.submissions
        }
    }

    /// Takes submissions from now on, unless it is closed.
    func open() {
        contents.withLock { if $0.admission == .notLeading { $0.admission = .open } }
    }

    /// Takes none until it is opened again, and hands out those that wait.
    func suspend() -> [Submission] {
        contents.withLock { if $0.admission == .open { $0.admission = .notLeading } }
        return takeAll()
    }

    /// Takes no more; what waits is still handed out.
    func close() {
        contents.withLock { $0.admission = .closed }
        signal.wake()
    }
}
