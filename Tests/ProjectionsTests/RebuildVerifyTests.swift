import Domain
import EventLog
import Postgres
import TestSupport
import Testing

@testable import Projections

@Suite(.timeLimit(.minutes(10))) struct RebuildVerifyTests {
    @Test func aTamperedRowIsNamedWithItsColumnAndBothValues() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let variant = try fixture.database.texts(
            "SELECT variant_id FROM projection.assignments WHERE subject_id = 'user_7'")[0]
        try fixture.database.execute(
            """
            UPDATE projection.assignments SET variant_id = 'Z' WHERE subject_id = 'user_7';
            UPDATE projection.experiments SET hypothesis = NULL WHERE id = 'HERO'
            """)
        let report = try await fixture.verify()
        #expect(
            report.differences == [
                ProjectionDifference(
                    kind: .otherValue, table: "experiments", key: "HERO", column: "hypothesis",
                    holds: nil, expected: "It's better."),
                ProjectionDifference(
                    kind: .otherValue, table: "assignments", key: "HERO / user_7",
                    column: "variant_id", holds: "Z", expected: variant),
            ])
        #expect(report.count == 2)
    }

    @Test func missingRowsAndRowsTooManyAreNamed() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute(
            """
            DELETE FROM projection.assignments WHERE subject_id = 'user_9';
            INSERT INTO projection.variants VALUES ('HERO', 'Z', 9, false, NULL, NULL)
            """)
        let report = try await fixture.verify()
        let found = report.differences.map { "\($0.kind.rawValue) \($0.table) \($0.key)" }
        #expect(found == ["rowTooMany variants HERO / Z", "missingRow assignments HERO / user_9"])
        #expect(report.differences[0].holds?.contains(#""ordinal": 9"#) == true)
        #expect(report.differences[1].expected?.contains(#""subject_id": "user_9""#) == true)
    }

    @Test func manyDifferencesAreCountedAndTheFirstOnesListed() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute(
            "UPDATE projection.assignments SET cohort_index = 7, position = -position")
        let report = try await fixture.verify()
        #expect(report.count == 606 && report.differences.count == Rebuild.differencesMax)
    }

    @Test func theLiveTablesStayAndTheShadowGoes() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute("DELETE FROM projection.assignments WHERE cohort_index = 2")
        let before = try fixture.contents()
        #expect(try await fixture.verify().count == 100)
        #expect(try fixture.contents() == before)
        let schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'projection%'"
        #expect(try fixture.database.texts(schemas) == ["projection"])
    }

    @Test func projectionsThatAreBehindAreComparedWhereTheyStand() async throws {
        let fixture = try Fixture()
        defer { fixture.log.stop() }
        try await fixture.fill()
        fixture.projector.stop()
        let position = fixture.projector.position
        try await fixture.log.assign("HERO", subjects: 5000..<5100)
        let report = try await fixture.verify()
        #expect(report.count == 0 && report.position == position)
    }

    @Test func withoutProjectionsThereIsNothingToVerify() async throws {
        let database = try TestDatabase()
        #expect(throws: NothingToVerifyError.self) {
            try Rebuild.verify(conninfo: database.conninfo) { _, _ in }
        }
    }
}
