import Domain
import EventLog
import JSON
import Logging
import Postgres
import Telemetry
import TestSupport

@testable import Projections

/// A ledger with a leader and a projector, and what its projections hold.
struct Fixture {
    let database: TestDatabase
    let log: EventLog
    let projector: Projector
    let metrics: LedgerMetrics

    init() throws {
        database = try TestDatabase()
        metrics = LedgerMetrics()
        log = try database.lead(metrics: metrics)
        projector = try Projector.start(
            conninfo: database.conninfo, metrics: metrics, logger: .silent)
        let projector = projector
        log.view.onCommit { projector.wake() }
    }

    func stop() {
        projector.stop()
        log.stop()
    }

    /// Changes resources, assigns subjects of two experiments in two cohorts, and lets it all arrive.
    func fill() async throws {
        try await log.apply(
            """
            {"schemaVersion":1,"kind":"lab","metadata":{"id":"CORE","name":"Core"},"spec":{}}
            """)
        try await log.createExperiment("HERO", variants: ["A", "B", "C"])
        try await log.createExperiment("PRICE")
        try await log.assign("HERO", subjects: 0..<200)
        try await log.submit(.assign("PRICE", subjects: ["ein \"Zitat\"", "a/b%", "\u{1F600}"]))
        try await log.appendEvents([
            ProposedEvent(
                type: "CohortAdded",
                data: .parse(
                    Array(
                        """
                        {"experiment":"HERO","resourceVersion":1,"cohort":{"index":2,"variants":
                         [{"variant":"A","split":0.25},{"variant":"B","split":0.75}]}}
                        """.utf8)))
        ])
        try await log.assign("HERO", subjects: 150..<300)
        try await log.submit(.step("PRICE", .declareWinner("TREATMENT")))
        try await log.submit(.step("PRICE", .end(.success)))
        await settle()
    }

    /// Waits until the projections hold all that is committed.
    func settle() async { await projector.wait(for: log.view.position) }

    func contents() throws -> [String] { try database.projections() }

    func rebuild() async throws -> RebuildReport {
        let conninfo = database.conninfo
        return try await onThread { try Rebuild.run(conninfo: conninfo) { _, _ in } }
    }

    func verify() async throws -> RebuildVerifyReport {
        let conninfo = database.conninfo
        return try await onThread { try Rebuild.verify(conninfo: conninfo) { _, _ in } }
    }
}

extension TestDatabase {
    /// All rows of all projections, as text.
    func projections() throws -> [String] {
        try ProjectionSchema.tables.flatMap { table in
            let name = table.name
            return try texts("SELECT '\(name) ' || to_jsonb(t)::text FROM projection.\(name) t")
                .sorted()
        }
    }

    func count(_ table: String) throws -> Int {
        Int(try texts("SELECT count(*) FROM \(table)")[0]) ?? -1
    }

    /// Returns once a session of this name waits for a lock.
    func waitUntilLocked(_ application: String) throws {
        let waiting = """
            SELECT count(*) FROM pg_stat_activity
             WHERE application_name = '\(application)' AND wait_event_type = 'Lock'
               AND datname = current_database()
            """
        while try texts(waiting) == ["0"] {}
    }
}
