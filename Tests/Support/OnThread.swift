import Postgres

/// Runs what blocks on a thread of its own, so that the tests' own threads stay free.
package func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        OSThread.start(name: "test") { continuation.resume(with: Result { try body() }) }
    }
}
