import Domain
import EventLog
import Postgres
import SeededRandomness
import Telemetry
import TestSupport
import Testing

@Suite("When the writer's connection breaks")
struct BrokenConnectionTests {
    @Sendable private func killSequencer(_ connection: Connection) throws {
        _ = try connection.query(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'ledger sequencer'
            """)
    }

    @Test("nothing acknowledged is lost and nothing is doubled, however often it breaks")
    func nothingLost() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        let before = log.view.position
        let seed = UInt64.random(in: 0...(.max))
        let killer = Task {
            var generator = SeededGenerator(seed: seed)
            var kills = 0
            while !Task.isCancelled {
                let progress = Int64.random(in: 1...60, using: &generator)
                await log.view.waitForCommit(beyond: log.view.position + progress)
                try await log.reader.pool.run(killSequencer)
                kills += 1
            }
            return kills
        }
        let acknowledged = await withTaskGroup(of: [String: String].self) { group in
            for client in 0..<32 {
                group.addTask {
                    var acknowledged: [String: String] = [:]
                    for number in 0..<60 {
                        let subject = "user_\(client)_\(number)"
                        let receipt = try? await log.assign(
                            "HERO", [subject], context: CommandContext(actor: "key/test"))
                        acknowledged[subject] = receipt?.assignments.first?.variant
                    }
                    return acknowledged
                }
            }
            return await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
        }
        killer.cancel()
        log.view.wakeWaiters()
        let kills = try await killer.value
        #expect(kills > 3, "seed \(seed)")
        #expect(acknowledged.count == 32 * 60)
        let events = try await log.reader.events(after: before, through: .max, limit: 100_000)
            .events
        var recorded: [String: String] = [:]
        for event in events {
            guard case .assignmentMade(let made) = try event.decoded() else { continue }
            #expect(recorded.updateValue(made.variant.text, forKey: made.subject) == nil)
        }
        #expect(recorded == acknowledged)
        #expect(events.map(\.position) == Array(before + 1...before + 32 * 60))
    }

    @Test("large batches, sent while they are decided, are recorded whole and once")
    func largeBatches() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        let before = log.view.position
        let killer = Task {
            var kills = 0
            while !Task.isCancelled {
                await log.view.waitForCommit(beyond: log.view.position)
                try await log.reader.pool.run(killSequencer)
                kills += 1
            }
            return kills
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<4 {
                group.addTask {
                    for start in stride(from: 0, to: 4_000, by: 1_000) {
                        let receipt = try await log.assign(
                            "HERO", subjects: start..<start + 1_000, prefix: "client\(client)")
                        #expect(receipt.assignments.count == 1_000)
                    }
                }
            }
            try await group.waitForAll()
        }
        killer.cancel()
        log.view.wakeWaiters()
        #expect(try await killer.value > 0)
        let events = try await log.reader.events(after: before, through: .max, limit: 100_000)
            .events
        #expect(events.map(\.position) == Array(before + 1...before + 16_000))
        #expect(Set(events.map(\.stream)).count == 16_000)
        let position = log.view.position
        // All of them again, by a node that has none in its cache and takes them for new.
        log.stop()
        let second = try database.lead()
        defer { second.stop() }
        for number in 0..<20 {
            try await second.assign("HERO", subjects: number..<number + 1, prefix: "new")
        }
        let again = try await second.assign("HERO", subjects: 0..<1_000, prefix: "client0")
        #expect(again.assignments.allSatisfy { $0.reason == .existing })
        #expect(second.view.position == position + 20)
    }

    @Test("a commit that PostgreSQL warns of is looked up before anyone is told, and recorded once")
    func warnedOf() async throws {
        let database = try TestDatabase()
        let metrics = LedgerMetrics()
        let log = try database.lead(metrics: metrics)
        defer { log.stop() }
        try await log.createExperiment("HERO")
        let before = log.view.position
        // As of one whose wait for a replica is cancelled: it is committed, and warned of.
        try database.execute(
            """
            CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON ledger.head INITIALLY DEFERRED
            FOR EACH ROW WHEN (OLD.position <> NEW.position) EXECUTE FUNCTION warn()
            """)
        for number in 0..<5 { try await log.assign("HERO", subjects: number..<number + 1) }
        try await log.assign("HERO", subjects: 100..<1_200)
        #expect(log.view.position == before + 1_105)
        #expect(metrics.commitsUnknown.value == 6)
        #expect(log.isLeading)
    }

    @Test("a node that finds another epoch stops writing for good")
    func fenced() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        try database.execute("UPDATE ledger.head SET epoch = epoch + 1")
        await #expect(throws: SequencerError.self) { try await log.assign("HERO", subjects: 0..<1) }
        try database.execute("UPDATE ledger.head SET epoch = epoch - 1")
        await #expect(throws: SequencerError.self) { try await log.assign("HERO", subjects: 0..<1) }
        guard case .fenced = log.sequencer.status else {
            Issue.record("the sequencer is \(log.sequencer.status), not fenced")
            return
        }
    }

    @Test("a second ledger on the same database is refused while the first leads")
    func oneLeader() throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        #expect(throws: AlreadyLedError.self) {
            try EventLog.lead(
                conninfo: database.conninfo, metrics: .init(), logger: .silent,
                patience: .milliseconds(50))
        }
    }

    @Test("a database made by a newer program is refused, saying so")
    func newerSchema() throws {
        let database = try TestDatabase()
        try database.execute("INSERT INTO public.ledger_migrations (version) VALUES (9999)")
        let error = #expect(throws: SchemaTooNewError.self) { try database.lead() }
        #expect(error?.description.contains("newer ledger") == true)
    }
}
