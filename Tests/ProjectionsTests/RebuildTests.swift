import Domain
import EventLog
import Postgres
import TestSupport
import Testing

@testable import Projections

@Suite(.timeLimit(.minutes(10))) struct RebuildTests {
    @Test func aRebuildMakesWhatTheProjectorMade() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let before = try fixture.contents()
        let report = try await fixture.rebuild()
        #expect(try fixture.contents() == before)
        #expect(report.position == fixture.log.view.position && report.assignments == 303)
        #expect(try await fixture.verify().count == 0)
        let schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'projection%'"
        #expect(try fixture.database.texts(schemas) == ["projection"])
    }

    @Test func writersAndTheProjectorGoOnDuringRebuilds() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let log = fixture.log
        try await withThrowingTaskGroup { group in
            group.addTask {
                for batch in 0..<200 {
                    try await log.assign(
                        "HERO", subjects: batch * 20..<batch * 20 + 20, prefix: "during")
                }
            }
            for _ in 0..<4 { _ = try await fixture.rebuild() }
            try await group.waitForAll()
        }
        await fixture.settle()
        #expect(try fixture.database.count("projection.assignments") == 303 + 4000)
        let verified = try await fixture.verify()
        #expect(verified.count == 0 && verified.position == log.view.position)
    }

    @Test func theSwapKeepsGrantsAndViewsOnTheViews() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute(
            """
            DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
            GRANT USAGE ON SCHEMA analytics TO analyst;
            GRANT SELECT ON analytics.assignments TO analyst;
            CREATE VIEW public.mine AS SELECT count(*) FROM analytics.assignments;
            """)
        _ = try await fixture.rebuild()
        try await fixture.log.assign("HERO", subjects: 5000..<5007)
        await fixture.settle()
        let connection = try fixture.database.connect()
        try connection.execute("SET ROLE analyst")
        let counted = try connection.query("SELECT count(*) FROM analytics.assignments")
        #expect(counted.int64(0, 0) == 310)
        #expect(try fixture.database.texts("SELECT * FROM public.mine") == ["310"])
    }

    @Test func aReaderOfTheViewsMakesTheSwapWaitAndNotFail() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let reader = try fixture.database.connect()
        try reader.execute("BEGIN; SELECT count(*) FROM analytics.assignments")
        async let rebuilt = fixture.rebuild()
        try fixture.database.waitUntilLocked("ledger rebuild")
        try reader.execute("COMMIT")
        #expect(try await rebuilt.assignments == 303)
    }

    @Test func aProjectorThatWaitsWhileItsTablesAreSwappedStartsOver() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        fixture.projector.stop()
        try await fixture.log.assign("HERO", subjects: 5000..<5050)
        let conninfo = fixture.database.conninfo
        let (isReady, go) = (Signal(), Signal())
        async let step = onThread {
            let follower = try Follower(conninfo: conninfo) { _, _ in }
            defer { follower.close() }
            isReady.wake()
            go.wait(timeout: nil)
            return try follower.step()
        }
        try await onThread { _ = isReady.wait(timeout: nil) }
        let holder = try fixture.database.connect()
        try holder.execute("BEGIN; SELECT FROM projection.checkpoint FOR UPDATE")
        async let rebuilt = fixture.rebuild()
        try fixture.database.waitUntilLocked("ledger rebuild")
        go.wake()
        try fixture.database.waitUntilLocked("ledger projector")
        try holder.execute("COMMIT")
        #expect(try await rebuilt.assignments == 353)
        #expect(try await step.position == fixture.log.view.position)
        #expect(try await fixture.verify().count == 0)
    }

    @Test func whatAKilledRebuildLeftBehindIsDropped() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute(
            """
            CREATE SCHEMA projection_next; CREATE TABLE projection_next.assignments (a int);
            CREATE SCHEMA projection_old; CREATE TABLE projection_old.groups (a int)
            """)
        #expect(try await fixture.rebuild().assignments == 303)
        #expect(try await fixture.verify().count == 0)
    }

    @Test func twoRebuildsAtOnceAreRefused() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let conninfo = fixture.database.conninfo
        let other = try Connection(conninfo, applicationName: "other")
        try other.execute("SELECT pg_advisory_lock(\(AdvisoryLock.projections))")
        await #expect(throws: RebuildRunningError.self) { try await fixture.rebuild() }
        await #expect(throws: RebuildRunningError.self) { try await fixture.verify() }
    }

    @Test func aRebuildThatIsCalledOffLeavesTheLiveTablesAsTheyAre() async throws {
        struct Enough: Error {}
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        let before = try fixture.contents()
        let conninfo = fixture.database.conninfo
        await #expect(throws: Enough.self) {
            try await onThread {
                try Rebuild.run(conninfo: conninfo) { _, _ in throw Enough() }
            }
        }
        #expect(try fixture.contents() == before)
    }

    @Test func anEventThatCannotBeReadIsNamed() async throws {
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fixture.fill()
        try fixture.database.execute(
            """
            ALTER TABLE ledger.events DISABLE TRIGGER ALL;
            UPDATE ledger.events SET data = '{"experiment":"HERO"}' WHERE position = 20
            """)
        let error = await #expect(throws: UnreadableEventError.self) {
            try await fixture.rebuild()
        }
        #expect(error?.position == 20 && error?.type == "AssignmentMade")
    }
}
