import Domain
import Postgres
import Proof
import SeededRandomness
import TestSupport
import Testing

@testable import EventLog

/// Ways to change a log, each at a position: SQL, and the positions that have to be named.
private struct Tampering: Sendable, CustomTestStringConvertible {
    var name: String
    var sql: @Sendable (_ position: Int64) -> String
    /// Positions named where the hashes in the database are as they were; the first of them also
    /// where all were computed anew.
    var named: @Sendable (_ position: Int64) -> [Int64]
    /// Whether the log has fewer or more events afterwards.
    var change: Int64 = 0

    var testDescription: String { name }

    private static func update(_ name: String, _ assignment: String) -> Tampering {
        Tampering(
            name: name,
            sql: { "UPDATE ledger.events SET \(assignment) WHERE position = \($0)" },
            named: { [$0] })
    }

    static let all = [
        update("data", "data = replace(data::text, 'CONTROL', 'TREATMENT')::json, actor = 'x'"),
        update("data's form", "data = (data::text || ' ')::json"),
        update("actor", "actor = actor || 'x'"), update("correlation", "correlation = 'x'"),
        update("type", "type = 'AssignmentUnmade'"), update("id", "id = gen_random_uuid()"),
        update("stream", "stream = stream || 'x'"), update("version", "version = version + 1"),
        update("recordedAt", "recorded_at = recorded_at + interval '1 microsecond'"),
        Tampering(
            name: "removed, and those behind it moved up",
            sql: {
                """
                DELETE FROM ledger.events WHERE position = \($0);
                UPDATE ledger.events SET position = -position WHERE position > \($0);
                UPDATE ledger.events SET position = -position - 1 WHERE position < 0
                """
            }, named: { [$0, $0 + 1] }, change: -1),
        Tampering(
            name: "put in, and those behind it moved down",
            sql: {
                """
                UPDATE ledger.events SET position = -position WHERE position >= \($0);
                UPDATE ledger.events SET position = -position + 1 WHERE position < 0;
                INSERT INTO ledger.events
                SELECT \($0), gen_random_uuid(), 'assignment/HERO/forged', 1, type, recorded_at,
                       actor, data FROM ledger.events WHERE position = \($0) + 1
                """
            }, named: { [$0, $0 + 1] }, change: 1),
        Tampering(
            name: "swapped with the next",
            sql: {
                """
                UPDATE ledger.events SET position = -1 WHERE position = \($0);
                UPDATE ledger.events SET position = \($0) WHERE position = \($0) + 1;
                UPDATE ledger.events SET position = \($0) + 1 WHERE position = -1
                """
            }, named: { [$0, $0 + 1] }),
    ]
}

/// A log of several tiles, in batches of their own transactions, with a checkpoint.
private struct TamperedLedger {
    let database: TestDatabase
    let directory: String
    let checkpoint: Checkpoint
    let size: Int64

    init() async throws {
        database = try TestDatabase()
        directory = try temporaryDirectory()
        let notary = database.notary(key: try SigningKey(), directory: directory)
        let database = database
        let log = try await onThread { try database.lead() }
        notary.start(log)
        try await log.createExperiment("HERO")
        for batch in 0..<56 { try await log.assign("HERO", subjects: batch * 10..<batch * 10 + 10) }
        checkpoint = try Checkpoint(
            await notary.checkpoint(covering: log.view.position).note)
        size = log.view.position
        #expect(checkpoint.size == size)
        try await onThread {
            notary.stop()
            log.stop()
        }
    }

    func verify(since kept: Checkpoint? = nil) async throws -> [LogFinding] {
        let kept = kept.map { [KeptCheckpoint($0, place: "kept.checkpoint")] } ?? []
        let database = database
        return try await onThread {
            try LogVerification.run(conninfo: database.conninfo, since: kept) { _, _ in }.findings
        }
    }

    /// Does what an attacker with all rights in the database does: makes every hash in it fit.
    func recomputeAll() async throws {
        let database = database
        try await onThread {
            try database.tamper("DELETE FROM ledger.tiles; DELETE FROM ledger.checkpoint")
            try recomputeHead(database)
            try database.lead().stop()
        }
    }

    func remove() { removeTree(directory) }
}

@Suite(.timeLimit(.minutes(10))) struct TamperTests {
    @Test(arguments: Tampering.all)
    fileprivate func everyChangeIsNamedByItsPosition(_ tampering: Tampering) async throws {
        var generator = SeededGenerator()
        let ledger = try await TamperedLedger()
        defer { ledger.remove() }
        #expect(try await ledger.verify(since: ledger.checkpoint).isEmpty)
        // In the first tile, and in the open one.
        let isOpen = Bool.random(using: &generator)
        let position =
            isOpen
            ? Int64.random(in: ledger.size / 256 * 256 + 3..<ledger.size - 2, using: &generator)
            : Int64.random(in: 10..<250, using: &generator)
        try ledger.database.tamper(tampering.sql(position))
        let found = try await ledger.verify(since: ledger.checkpoint)
        for position in tampering.named(position) {
            #expect(
                found.contains { $0.position == position }, "\(position): \(found.prefix(5))")
        }
        #expect(
            found.allSatisfy { $0.position.map { $0 >= position } ?? true }, "\(found.prefix(5))")
        #expect(found.contains { $0.text.contains("does not extend kept.checkpoint") })
        // Now with all hashes in the database made to fit: only what is kept elsewhere tells.
        try await ledger.recomputeAll()
        let alone = try await ledger.verify()
        // But for what contradicts itself without any hash.
        #expect(
            alone.allSatisfy {
                $0.text.contains("version") || $0.text.contains("recorded at")
            }, "\(alone)")
        let told = try await ledger.verify(since: ledger.checkpoint)
        let text = tampering.change < 0 ? "has only" : "does not extend kept.checkpoint"
        #expect(told.contains { $0.text.contains(text) }, "\(told)")
        let suspects = told.filter { $0.text.contains("suspect") }
        #expect(suspects.first?.position == position, "\(position): \(told.prefix(9))")
    }

    @Test func aRemovedEventIsNamedWhetherOrNotHashesAreRecomputed() async throws {
        let ledger = try await TamperedLedger()
        defer { ledger.remove() }
        try ledger.database.tamper("DELETE FROM ledger.events WHERE position = 300")
        let found = try await ledger.verify(since: ledger.checkpoint)
        #expect(found.first == LogFinding(position: 300, text: "the event is missing"))
        #expect(found.count == 2)
    }

    @Test(arguments: [
        ("UPDATE ledger.tiles SET root = sha256(root) WHERE index = 1", "257 to 512"),
        ("UPDATE ledger.tiles SET leaves = overlay(leaves PLACING '\\x00ff' FROM 1)", "damaged"),
        ("DELETE FROM ledger.tiles WHERE index = 0", "1 to 256 (level 1, index 0) is missing"),
        ("UPDATE ledger.head SET frontier = overlay(frontier PLACING '\\x00' FROM 2)", "head row"),
        ("UPDATE ledger.checkpoint SET leaves = sha256('') || substr(leaves, 33)", "another hash"),
        ("UPDATE ledger.checkpoint SET note = replace(note, '\n5', '\n4')", "was changed"),
    ])
    func aChangedHashIsNotTakenForAChangedEvent(_ sql: String, _ text: String) async throws {
        let ledger = try await TamperedLedger()
        defer { ledger.remove() }
        try ledger.database.tamper(sql)
        let found = try await ledger.verify()
        #expect(found.contains { $0.text.contains(text) }, "\(found)")
    }

    @Test func checkpointsNarrowDownWhereARecomputedLogWasChanged() async throws {
        let database = try TestDatabase()
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let notary = database.notary(key: try SigningKey(), directory: directory)
        let log = try await onThread { try database.lead() }
        notary.start(log)
        try await log.createExperiment("HERO")
        var kept: [KeptCheckpoint] = []
        for round in 0..<3 {
            try await log.assign("HERO", subjects: round * 100..<round * 100 + 100)
            let note = try await notary.checkpoint(covering: log.view.position).note
            kept.append(KeptCheckpoint(try Checkpoint(note), place: "kept \(round)"))
        }
        try await onThread {
            notary.stop()
            log.stop()
        }
        try database.tamper(
            """
            UPDATE ledger.events SET actor = 'x' WHERE position = 150;
            DELETE FROM ledger.tiles; DELETE FROM ledger.checkpoint
            """)
        let checkpoints = kept
        let found = try await onThread {
            try recomputeHead(database)
            try database.lead().stop()
            return try LogVerification.run(
                conninfo: database.conninfo, since: checkpoints
            ) { _, _ in }.findings
        }
        let sizes = kept.map(\.checkpoint.size)
        #expect(found.first?.position == 150)
        #expect(
            found.contains { $0.text.contains("among positions \(sizes[0] + 1) to \(sizes[1])") },
            "\(found)")
    }

    @Test func anotherCopyOfTheLogNamesTheFirstPositionThatDiffers() async throws {
        var generator = SeededGenerator()
        let ledger = try await TamperedLedger()
        defer { ledger.remove() }
        var copy: [Digest] = []
        let connection = try ledger.database.connect()
        try LogScan.leaves(after: 0, through: ledger.size, connection) { copy.append($1) }
        connection.close()
        let leaves = copy
        let position = Int64.random(in: 1...ledger.size, using: &generator)
        try ledger.database.tamper(
            "UPDATE ledger.events SET actor = 'x' WHERE position >= \(position)")
        try await ledger.recomputeAll()
        let found = try await onThread {
            let other = OtherLog(name: "the copy") { size in
                var tree = MerkleFrontier()
                for leaf in leaves[..<Int(size ?? 400)] { tree.append(leaf) }
                return TreeHead(size: size ?? Int64(leaves.count), root: tree.root)
            }
            return try LogVerification.run(
                conninfo: ledger.database.conninfo, against: other
            ) { _, _ in }.findings
        }
        #expect(
            found == [
                LogFinding(
                    position: position, text: "from here on the log is not the one at the copy")
            ])
    }

    @Test func aCheckpointOfMoreEventsThanThereAreIsToldOf() async throws {
        let ledger = try await TamperedLedger()
        defer { ledger.remove() }
        try ledger.database.tamper("DELETE FROM ledger.events WHERE position > 500")
        try await ledger.recomputeAll()
        let found = try await ledger.verify(since: ledger.checkpoint)
        #expect(found.count == 1 && found[0].position == 501, "\(found)")
        #expect(found.first?.text.contains("has only 500") == true)
    }
}
