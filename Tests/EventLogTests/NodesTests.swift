import Domain
import EventLog
import Postgres
import SeededRandomness
import TestSupport
import Testing

@Suite("Several nodes on one database")
struct NodesTests {
    /// A node that takes part, reached at a URL of its own name.
    private func join(_ database: TestDatabase, _ name: String) throws -> EventLog {
        let log = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent)
        log.join(url: "http://\(name)")
        return log
    }

    /// The one that leads, as soon as one does.
    private func leader(of nodes: [EventLog]) async throws -> EventLog {
        let deadline = ContinuousClock.now + .seconds(100)
        while ContinuousClock.now < deadline {
            if let leader = nodes.first(where: \.isLeading) { return leader }
            await nodes[0].view.waitBriefly()
        }
        throw NoLeaderError()
    }

    private struct NoLeaderError: Error {}

    @Sendable private static func endSequencers(_ connection: Connection) throws {
        _ = try connection.query(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'ledger sequencer'
            """)
    }

    @Test("one leads; the other knows where, and reads what it commits")
    func readsAlong() async throws {
        let database = try TestDatabase()
        let first = try join(database, "first")
        defer { first.stop() }
        _ = try await leader(of: [first])
        let second = try join(database, "second")
        defer { second.stop() }
        try await first.createExperiment("HERO")
        let receipt = try await first.assign("HERO", subjects: 0..<10)
        #expect(await second.view.wait(for: receipt.position, patience: .seconds(10)))
        #expect(second.view.snapshot.state == first.view.snapshot.state)
        #expect(second.view.head == first.view.head)
        #expect(second.view.leader == "http://first")
        #expect(!second.isLeading)
        await #expect(throws: SequencerError.self) {
            try await second.assign("HERO", subjects: 10..<11)
        }
        #expect(first.view.position == receipt.position)
    }

    @Test("a standby gives a variant again from its own state, and refuses to make one")
    func repeatsAnswers() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        defer { first.stop() }
        let second = try join(database, "second")
        defer { second.stop() }
        try await first.createExperiment("HERO")
        let receipt = try await first.assign("HERO", subjects: 0..<1)
        _ = await second.view.wait(for: receipt.position, patience: .seconds(10))
        let context = CommandContext(actor: "key/test")
        let again = try await second.assign("HERO", ["user_0"], context: context)
        #expect(again.assignments.first?.variant == receipt.assignments.first?.variant)
        #expect(again.assignments.first?.reason == .existing)
        await #expect(throws: SequencerError.self) {
            try await second.assign("HERO", ["user_1"], context: context)
        }
    }

    @Test("when the leader stops the other leads, under the next epoch and from the next position")
    func takesOver() async throws {
        let database = try TestDatabase()
        let first = try join(database, "first")
        _ = try await leader(of: [first])
        let second = try join(database, "second")
        defer { second.stop() }
        try await first.createExperiment("HERO")
        let before = try await first.assign("HERO", subjects: 0..<5)
        let epoch = first.epoch
        first.stop()
        let leader = try await leader(of: [second])
        let after = try await leader.assign("HERO", subjects: 5..<6)
        #expect(after.position == before.position + 1)
        #expect(leader.epoch == epoch + 1)
    }

    @Test(
        "the session of a leader that falls silent is ended, and another leads")
    func silentLeader() async throws {
        let database = try TestDatabase()
        let frozen = try database.connect()
        defer { frozen.close() }
        // All that a frozen process is to PostgreSQL: a session with the lock that says nothing.
        #expect(try Leadership.tryLead(frozen))
        let node = try join(database, "node")
        defer { node.stop() }
        _ = try await leader(of: [node])
        #expect(throws: PostgresError.self) { try frozen.query("SELECT 1") }
    }

    @Test("a node that may not lead leaves it to others, and tells why")
    func refused() async throws {
        let database = try TestDatabase()
        let first = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent)
        defer { first.stop() }
        struct Refused: Error {}
        first.join(url: "http://first") { _ in throw Refused() }
        let second = try join(database, "second")
        defer { second.stop() }
        _ = try await leader(of: [second])
        #expect(!first.isLeading)
        #expect(second.epoch == 1)
    }

    @Test("a database that comes back with another past is read anew, not read on")
    func lostEvents() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        try await first.createExperiment("HERO")
        let node = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent)
        first.stop()
        // As a replica that lacked the last events would be, after others were recorded there.
        try database.execute(
            """
            ALTER TABLE ledger.events DISABLE TRIGGER ALL;
            DELETE FROM ledger.events;
            UPDATE ledger.head SET position = 0, frontier = '', recorded_at = 'epoch'
            """)
        let second = try database.lead()
        defer { second.stop() }
        try await second.createExperiment("OTHER", variants: ["A", "B", "C", "D", "E", "F", "G"])
        #expect(second.view.position > node.view.position)
        node.join(url: "http://node")
        defer { node.stop() }
        #expect(await node.view.wait(for: second.view.position, patience: .seconds(20)))
        #expect(node.view.snapshot.state == second.view.snapshot.state)
    }

    @Test("what is asked of two nodes, while sessions break and leaders change, is recorded once")
    func changesOfLeader() async throws {
        let database = try TestDatabase()
        let nodes = [try join(database, "first"), try join(database, "second")]
        defer { for node in nodes { node.stop() } }
        try await leader(of: nodes).createExperiment("HERO")
        let seed = UInt64.random(in: 0...(.max))
        let breaking = Task {
            var generator = SeededGenerator(seed: seed)
            while !Task.isCancelled {
                let progress = Int64.random(in: 1...40, using: &generator)
                let reader = nodes[0]
                _ = await reader.view.wait(
                    for: reader.view.position + progress, patience: .seconds(2))
                if Bool.random(using: &generator) {
                    try await reader.reader.pool.run(Self.endSequencers)
                } else {
                    // As another leader would, who is gone again at once.
                    try await reader.reader.pool.run(readOnly: false) {
                        try $0.execute("UPDATE ledger.head SET epoch = epoch + 1")
                    }
                }
            }
        }
        let answers = await withTaskGroup(of: [(String, String)].self) { group in
            for client in 0..<16 {
                group.addTask {
                    var generator = SeededGenerator(seed: seed &+ UInt64(client))
                    var answers: [(String, String)] = []
                    for number in 0..<40 {
                        // Two clients ask for each subject, of whichever node.
                        let subject = "user_\(client / 2)_\(number)"
                        var variant: String?
                        while variant == nil {
                            let node = nodes.randomElement(using: &generator) ?? nodes[0]
                            let receipt = try? await node.assign(
                                "HERO", [subject], context: CommandContext(actor: "key/test"))
                            variant = receipt?.assignments.first?.variant
                            if variant == nil { await node.view.waitBriefly() }
                        }
                        answers.append((subject, variant ?? ""))
                    }
                    return answers
                }
            }
            return await group.reduce(into: [String: Set<String>]()) { all, answers in
                for (subject, variant) in answers { all[subject, default: []].insert(variant) }
            }
        }
        breaking.cancel()
        _ = try? await breaking.value
        let leader = try await leader(of: nodes)
        let events = try await leader.reader.events(
            after: 0, through: leader.view.position, limit: 10_000
        ).events
        #expect(events.map(\.position) == Array(1...leader.view.position), "seed \(seed)")
        var recorded: [String: Set<String>] = [:]
        for event in events {
            guard case .assignmentMade(let made) = try event.decoded() else { continue }
            #expect(recorded[made.subject] == nil, "\(made.subject) twice, seed \(seed)")
            recorded[made.subject] = [made.variant.text]
        }
        #expect(recorded == answers, "seed \(seed)")
        #expect(leader.epoch > 2, "seed \(seed)")
    }
}

extension LedgerView {
    /// Lets others go on, until something is committed or a moment has gone by.
    fileprivate func waitBriefly() async {
        _ = await wait(for: position + 1, patience: .milliseconds(20))
    }
}
