import Domain
import EventLog
import Telemetry
import TestSupport
import Testing

/// A node that knows less of the log than the database holds.
@Suite struct ReadingAlongTests {
    @Test func `an answer shows nothing beyond the position that it is of`() async throws {
        let database = try TestDatabase()
        let leader = try database.lead()
        defer { leader.stop() }
        try await leader.createExperiment("HERO")
        try await leader.assign("HERO", subjects: 0..<1)
        // It stays where it is, for it does not join.
        let reader = try EventLog.open(
            conninfo: database.conninfo, metrics: LedgerMetrics(), logger: .silent)
        defer { reader.stop() }
        let later = try await leader.assign("HERO", subjects: 1..<2)

        let (answers, position) = try await reader.assignments([
            ("HERO", "user_0"), ("HERO", "user_1"),
        ])
        #expect(position == later.position - 1)
        #expect(answers.map(\.reason) == [.existing, .notAssigned])
        let again = try await reader.assign(
            "HERO", ["user_0"], context: CommandContext(actor: "key/test"))
        #expect(again.assignments.map(\.position) == [position])
        await #expect(throws: SequencerError.self) {
            try await reader.assign("HERO", ["user_1"], context: CommandContext(actor: "key/test"))
        }
    }
}
