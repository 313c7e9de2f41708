import Glibc

/// A bounded queue between callers and the threads that serve them.
///
/// The fields are touched only under the lock.
final class JobQueue<Job>: @unchecked Sendable {
    enum Admission {
        case accepted, full, closed
    }

    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let countMax: Int
    private var jobs: [Job?] = []
    /// Where the first waiting job is; what is before it was taken.
    private var head = 0
    private var isClosed = false

    init(countMax: Int) {
        self.countMax = countMax
        pthread_mutex_init(lock, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    func add(_ job: sending Job) -> Admission {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if isClosed { return .closed }
        if jobs.count - head >= countMax { return .full }
        jobs.append(job)
        pthread_cond_signal(changed)
        return .accepted
    }

    /// Waits for a job; nil once the queue is closed and empty.
    func next() -> Job? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while head == jobs.count {
            if isClosed { return nil }
            pthread_cond_wait(changed, lock)
        }
        let job = jobs[head].take()
        head += 1
        if head == jobs.count || head >= countMax {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }

    /// Takes no more jobs; those that wait are still handed out.
    func close() {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        isClosed = true
        pthread_cond_broadcast(changed)
    }
}
