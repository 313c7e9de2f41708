import Synchronization
import Testing

@testable import Postgres

private struct Refused: Error {}

@Suite struct ConnectionPoolTests {
    @Test func jobsRunAndTheirErrorsComeBack() async throws {
        let pool = TestServer.pool()
        let sum = try await withThrowingTaskGroup(of: Int64.self) { group in
            for number in 1...100 {
                group.addTask {
                    try await pool.run {
                        try $0.query("SELECT $1", [.int64(Int64(number))]).int64(0, 0)
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 5050)
        await #expect(throws: Refused.self) {
            try await pool.run { _ in throw Refused() }
        }
        pool.shutdown()
    }

    @Test func aReadOnlyJobIsTriedOnceMoreOnANewConnection() async throws {
        let pool = TestServer.pool(size: 1)
        let tries = Mutex(0)
        let answer = try await pool.run { connection in
            let isFirst = tries.withLock { count in
                count += 1
                return count == 1
            }
            if isFirst {
                try connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            }
            return try connection.query("SELECT 1").int64(0, 0)
        }
        #expect(answer == 1)
        #expect(tries.withLock { $0 } == 2)
        pool.shutdown()
    }

    @Test func aJobThatWritesIsTriedOnce() async throws {
        let pool = TestServer.pool(size: 1)
        let tries = Mutex(0)
        await #expect(throws: PostgresError.self) {
            try await pool.run(readOnly: false) { connection in
                tries.withLock { $0 += 1 }
                try connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            }
        }
        #expect(tries.withLock { $0 } == 1)
        #expect(try await pool.run { try $0.query("SELECT 1").count } == 1)
        pool.shutdown()
    }

    @Test func aTransactionLeftOpenIsRolledBack() async throws {
        let pool = TestServer.pool(size: 1)
        try await pool.run { try $0.execute("BEGIN; CREATE TABLE left_open (a int)") }
        let found = try await pool.run {
            #expect(!$0.isInTransaction)
            return try $0.query("SELECT to_regclass('left_open')").isNull(0, 0)
        }
        #expect(found)
        pool.shutdown()
    }

    @Test func aFullQueueIsBusyAndAShutPoolIsClosed() async throws {
        let pool = TestServer.pool(size: 1, queueMax: 1)
        let entered = Signal()
        let release = Signal()
        async let first: Void = pool.run { _ in
            entered.wake()
            release.wait(timeout: nil)
        }
        await onThread { entered.wait(timeout: nil) }
        // One of the two waits, the other finds the queue full.
        let kinds = await withTaskGroup(of: PostgresError.Kind?.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    do {
                        try await pool.run { _ in }
                        return nil
                    } catch {
                        release.wake()
                        return (error as? PostgresError)?.kind
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        try await first
        #expect(Set(kinds) == [nil, .busy])
        pool.shutdown()
        let error = await #expect(throws: PostgresError.self) { try await pool.run { _ in } }
        #expect(error?.kind == .closed)
    }
}

/// Blocks a thread of its own instead of one of the tasks'.
func onThread(_ body: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        OSThread.start(name: "test") {
            body()
            continuation.resume()
        }
    }
}
