import Postgres
import TestSupport
import Testing

@testable import Domain
@testable import Webhooks

@Suite final class ProgressStoreTests {
    private let database: TestDatabase
    private let store: ProgressStore

    init() throws {
        database = try TestDatabase()
        store = ProgressStore(pool: database.pool())
    }

    deinit { store.pool.shutdown() }

    private func epoch() throws -> Int64 {
        try #require(Int64(try database.texts("SELECT epoch FROM ledger.head")[0]))
    }

    private func row(_ lane: Int = 0, created: Int64 = 1, through: Int64) -> LaneProgress {
        LaneProgress(
            webhook: "hook", lane: lane, createdPosition: created,
            done: PositionRanges(through: through, above: [(through + 2)...(through + 3)]),
            failures: 2, failingSince: .at(1), retryAt: .at(2))
    }

    private func setAside(_ position: Int64, attempts: Int = 1, reason: String = "no") -> SetAside {
        SetAside(
            webhook: "hook", position: position, attempts: attempts, status: nil, reason: reason,
            answer: "", failedAt: .at(0))
    }

    private func write(_ change: (inout ProgressStore.Changes) -> Void) async throws {
        var changes = ProgressStore.Changes()
        change(&changes)
        try await store.write(changes, epoch: try epoch())
    }

    @Test func progressIsReadAsItWasWrittenLast() async throws {
        try await write { $0.progress = [row(through: 4), row(1, through: 2)] }
        try await write { $0.progress = [row(through: 9)] }
        let rows = try await store.progress().sorted { $0.lane < $1.lane }
        #expect(rows.map(\.lane) == [0, 1])
        #expect(rows[0].done == PositionRanges(through: 9, above: [11...12]))
        #expect(rows[0].failures == 2)
        #expect(rows[0].failingSince == .at(1))
        #expect(rows[0].retryAt == .at(2))
    }

    @Test func anEventThatIsSetAsideTwiceAtOnceIsOneRow() async throws {
        try await write {
            $0.setAside = [
                setAside(7, attempts: 2, reason: "first"), setAside(8),
                setAside(7, attempts: 3, reason: "then"),
            ]
        }
        let rows = try await store.failures(of: "hook", limit: 9)
        #expect(rows == [setAside(7, attempts: 5, reason: "then"), setAside(8)])
    }

    @Test func whatIsForgottenIsTheEarlierEndpointOfThatName() async throws {
        try await write {
            $0.progress = [row(through: 90)]
            $0.setAside = [setAside(7)]
        }
        try await write {
            $0.forgotten = [("hook", nil)]
            $0.progress = [row(created: 95, through: 96)]
            $0.setAside = [setAside(99)]
        }
        #expect(try await store.progress().map(\.createdPosition) == [95])
        #expect(try await store.failures(of: "hook", limit: 9).map(\.position) == [99])
    }

    @Test func askedForRedeliveriesAreFoundPageByPage() async throws {
        try await write { $0.setAside = (1...5).map { setAside($0) } }
        #expect(try await store.request([2, 3, 5, 9], of: "hook", at: .at(1)) == [2, 3, 5])
        let first = try await store.requested(of: "hook", limit: 2)
        #expect(first.map(\.position) == [2, 3])
        let rest = try await store.requested(of: "hook", after: 3, limit: 2)
        #expect(rest.map(\.position) == [5])
        try await write { $0.redelivered = [("hook", 2)] }
        #expect(try await store.requested(of: "hook", limit: 9).map(\.position) == [3, 5])
        #expect(try await store.failureCounts() == ["hook": 4])
    }

    @Test func aNodeThatWasOvertakenWritesNothing() async throws {
        var changes = ProgressStore.Changes()
        changes.progress = [row(through: 4)]
        let stale = try epoch() - 1
        await #expect(throws: FencedError.self) { try await store.write(changes, epoch: stale) }
        #expect(try await store.progress().isEmpty)
    }
}
