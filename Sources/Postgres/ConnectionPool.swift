/// Threads that each own a connection and serve jobs from one bounded queue.
///
/// A broken connection is replaced when the next job needs it. A read-only job whose connection
/// broke is tried once more, on a new one.
package final class ConnectionPool: Sendable {
    /// What one try of a job came to.
    private enum Outcome {
        case answered
        case brokeOff(PostgresError)
    }

    private struct Job {
        let isReadOnly: Bool
        /// Runs the job and answers the caller, unless the connection broke.
        let attempt: (Connection) -> Outcome
        let fail: (PostgresError) -> Void
    }

    private let queue: JobQueue<Job>
    private let threads: [OSThread]

    /// - Parameter prepare: is called with each connection once it is made.
    package init(
        conninfo: String, size: Int, name: String, queueMax: Int = 1024,
        prepare: @escaping @Sendable (Connection) throws(PostgresError) -> Void = { _ in }
    ) {
        precondition(size > 0, "a pool needs a connection")
        let queue = JobQueue<Job>(countMax: queueMax)
        self.queue = queue
        threads = (0..<size).map { index in
            OSThread.start(name: "\(name)-\(index)") {
                Self.serve(queue) { () throws(PostgresError) in
                    let connection = try Connection(conninfo, applicationName: name)
                    try prepare(connection)
                    return connection
                }
            }
        }
    }

    deinit { queue.close() }

    /// Runs the body on a thread of the pool, with that thread's connection.
    ///
    /// Throws what the body throws; a `PostgresError` of kind `.busy` when the queue is full, and
    /// of kind `.closed` after `shutdown`. A transaction the body leaves open is rolled back. A
    /// body that writes must not be `readOnly`, or it may be run twice.
    package func run<T: Sendable>(
        readOnly: Bool = true, _ body: @escaping @Sendable (Connection) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let job = Job(
                isReadOnly: readOnly,
                attempt: { connection in
                    do {
                        let value = try body(connection)
                        connection.rollBackIfOpen()
                        continuation.resume(returning: value)
                    } catch let error as PostgresError where error.kind == .connection {
                        return .brokeOff(error)
                    } catch {
                        connection.rollBackIfOpen()
                        continuation.resume(throwing: error)
                    }
                    return .answered
                },
                fail: { continuation.resume(throwing: $0) })
            switch queue.add(job) {
            case .accepted: break
            case .full:
                continuation.resume(throwing: PostgresError(.busy, "the queue is full"))
            case .closed:
                continuation.resume(throwing: PostgresError(.closed, "the pool is shut down"))
            }
        }
    }

    /// Takes no more jobs, finishes those that wait, and ends the threads.
    package func shutdown() {
        queue.close()
        for thread in threads { thread.join() }
    }

    private static func serve(
        _ queue: JobQueue<Job>, connect: () throws(PostgresError) -> Connection
    ) {
        var current: Connection?
        while let job = queue.next() {
            do throws(PostgresError) {
                let connection = try usable(current, connect)
                current = connection
                guard case .brokeOff(let error) = job.attempt(connection) else { continue }
                connection.close()
                guard job.isReadOnly else { throw error }
                let second = try usable(nil, connect)
                current = second
                if case .brokeOff(let error) = job.attempt(second) { throw error }
            } catch {
                job.fail(error)
            }
        }
        current?.close()
    }

    private static func usable(
        _ current: Connection?, _ connect: () throws(PostgresError) -> Connection
    ) throws(PostgresError) -> Connection {
        if let current, !current.isBroken { return current }
        current?.close()
        return try connect()
    }
}

extension Connection {
    /// Leaves no transaction to the next job; a connection that cannot is of no more use.
    fileprivate func rollBackIfOpen() {
        guard !isBroken, isInTransaction else { return }
        do {
            try execute("ROLLBACK")
        } catch {
            close()
        }
    }
}
