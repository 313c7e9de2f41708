import Domain
import EventLog
import Postgres
import TestSupport
import Testing

@testable import Projections

@Suite(.timeLimit(.minutes(10))) struct ProjectorTests {
    @Test func theLabAndTheSubjectTypeThatAlwaysExistAreThere() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.log.createExperiment("HERO")
        await fixture.settle()
        let labs = try fixture.database.texts("SELECT id FROM analytics.labs")
        let types = try fixture.database.texts("SELECT id FROM analytics.subject_types")
        #expect(labs == ["DEFAULT"] && types == ["ANY"])
    }

    @Test func theViewsShowWhatTheLogSays() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let database = fixture.database
        #expect(try database.count("analytics.assignments") == 303)
        #expect(
            try database.texts(
                "SELECT DISTINCT subject_id FROM analytics.assignments WHERE experiment_id = 'PRICE'"
                    + " ORDER BY 1") == ["a/b%", "ein \"Zitat\"", "\u{1F600}"])
        #expect(
            try database.texts(
                """
                SELECT cohort_index || ' ' || sum(assignments) FROM analytics.cohort_summary
                 WHERE experiment_id = 'HERO' GROUP BY cohort_index ORDER BY 1
                """) == ["1 200", "2 100"])
        #expect(
            try database.texts(
                """
                SELECT status || ' ' || winning_variant || ' ' || ended_reason
                  FROM analytics.experiments WHERE id = 'PRICE'
                """) == ["ended TREATMENT success"])
        #expect(
            try database.texts(
                "SELECT experiment_id || ' ' || assignments FROM analytics.assignments_per_experiment"
                    + " ORDER BY 1") == ["HERO 300", "PRICE 3"])
        // Each row is its event's.
        #expect(
            try database.count(
                """
                projection.assignments a JOIN ledger.events e USING (position)
                 WHERE e.id = a.event_id AND e.recorded_at = a.created_at
                   AND e.data->>'subject' = a.subject_id AND e.data->>'variant' = a.variant_id
                   AND e.data->>'experiment' = a.experiment_id
                   AND (e.data->>'cohort')::int = a.cohort_index
                """) == 303)
    }

    @Test func theMetricsSayHowFarItHasRead() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let position = fixture.log.view.position
        #expect(fixture.projector.position == position)
        let shown = fixture.metrics.registry.render()
        #expect(shown.contains("\nledger_projection_position \(position)\n"))
        #expect(shown.contains("\nledger_projection_lag_events 0\n"))
    }

    @Test func aBrokenConnectionIsReplacedAndNothingIsCountedTwice() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        for round in 0..<5 {
            try fixture.database.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'ledger projector' AND datname = current_database()
                """)
            let subjects = round * 50..<round * 50 + 50
            try await fixture.log.assign("HERO", subjects: subjects, prefix: "other")
        }
        await fixture.settle()
        #expect(try fixture.database.count("projection.assignments") == 303 + 250)
        #expect(try await fixture.verify().count == 0)
    }

    @Test func aProjectorGoesOnWhereAnEarlierOneStopped() async throws {
        let fixture = try Fixture()
        defer { fixture.log.stop() }
        try await fixture.fill()
        fixture.projector.stop()
        try await fixture.log.assign("HERO", subjects: 1000..<1010)
        let next = try Projector.start(
            conninfo: fixture.database.conninfo, metrics: fixture.metrics, logger: .silent)
        defer { next.stop() }
        await next.wait(for: fixture.log.view.position)
        #expect(try await fixture.verify().count == 0)
        #expect(try fixture.database.count("projection.assignments") == 313)
    }

    @Test func anotherDefinitionBuildsTheProjectionsAnew() async throws {
        let fixture = try Fixture()
        defer { fixture.log.stop() }
        try await fixture.fill()
        fixture.projector.stop()
        let before = try fixture.contents()
        try fixture.database.execute(
            """
            UPDATE projection.checkpoint SET definition = 'an older one';
            DELETE FROM projection.assignments; ALTER TABLE projection.variants ADD COLUMN old int
            """)
        let next = try Projector.start(
            conninfo: fixture.database.conninfo, metrics: fixture.metrics, logger: .silent)
        defer { next.stop() }
        await next.wait(for: fixture.log.view.position)
        #expect(try fixture.contents() == before)
    }

    @Test func aDatabaseWithoutALedgerIsRefusedAtTheStart() throws {
        let database = try TestDatabase(isMigrated: false)
        #expect(throws: NoLedgerError.self) {
            try Projector.start(conninfo: database.conninfo, metrics: .init(), logger: .silent)
        }
    }

    @Test func assignmentsWrittenInAnyFormAreRead() throws {
        func read(_ data: String) throws -> [String] {
            var found: [String] = []
            try Array(data.utf8).withUnsafeBytes { bytes in
                try AssignmentFields.read(bytes) { fields in
                    found = [fields.experiment, fields.subject, fields.variant].map {
                        String(decoding: $0, as: UTF8.self)
                    }
                    found.append("\(fields.cohort)")
                }
            }
            return found
        }
        func written(_ subject: String) -> String {
            #"{"experiment":"E","subject":"\#(subject)","subjectType":"T","variant":"V","#
                + #""cohort":12,"u":0.5}"#
        }
        let exact = written("s")
        #expect(try read(exact) == ["E", "s", "V", "12"])
        #expect(try read(written(#"a\"bé"#)) == ["E", "a\"bé", "V", "12"])
        let other =
            #"{ "cohort": 3, "variant": "V", "more": [{}], "subject": "s", "experiment": "E" }"#
        #expect(try read(other) == ["E", "s", "V", "3"])
        for length in 0...exact.utf8.count - ",\"u\":0.5}".utf8.count {
            #expect(throws: (any Error).self) { try read(String(exact.prefix(length))) }
        }
        #expect(throws: IncompleteAssignmentError.self) { try read(#"{"experiment":"E"}"#) }
    }
}
