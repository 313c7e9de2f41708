import Domain
import Postgres
import Proof
import SeededRandomness
import TestSupport
import Testing

@testable import EventLog

/// A log whose leaves are known without its tiles.
private struct KnownTree {
    let database: TestDatabase
    private(set) var leaves: [Digest] = []

    init(_ database: TestDatabase) throws {
        self.database = database
        try read()
    }

    mutating func read() throws {
        let connection = try database.connect()
        defer { connection.close() }
        leaves = try EventReader.events(
            connection.query("SELECT \(LogScan.eventColumns) FROM ledger.events ORDER BY position")
        ).map { MerkleFrontier.leaf($0.line) }
    }

    var size: UInt64 { UInt64(leaves.count) }

    func hash(_ range: TreeRange) -> Digest {
        var tree = MerkleFrontier()
        for leaf in leaves[Int(range.lowerBound)..<Int(range.upperBound)] { tree.append(leaf) }
        return tree.root
    }

    /// The tiles that the table has, and those that it should have, as text.
    func tiles() throws -> (found: [String], due: [String]) {
        let found = try database.texts(
            """
            SELECT level || ' ' || index || ' ' || encode(root, 'hex') || ' '
                   || coalesce(encode(sha256(leaves), 'hex'), '')
              FROM ledger.tiles ORDER BY level, index
            """)
        var due: [String] = []
        for level in 1...2 {
            let width = UInt64(1) << UInt64(8 * level)
            for index in 0..<size / width {
                let range = index * width..<(index + 1) * width
                let leaves = leaves[Int(range.lowerBound)..<Int(range.upperBound)]
                let bytes = level == 1 ? "\(hashOfBytes(Array(leaves)))" : ""
                due.append("\(level) \(index) \(hash(range)) \(bytes)")
            }
        }
        return (found, due)
    }

    private func hashOfBytes(_ digests: [Digest]) -> Digest {
        // SHA-256 of bytes is what a leaf is but for the byte in front, so PostgreSQL is asked.
        let hex = digests.map(\.description).joined()
        let text = try? database.texts("SELECT encode(sha256('\\x\(hex)'), 'hex')").first
        return text.flatMap { Digest(text: $0) } ?? MerkleFrontier().root
    }
}

/// Makes a log of so many events without the sequencer, and without tiles.
private func synthesize(_ count: Int, in database: TestDatabase) throws {
    try database.execute(
        """
        INSERT INTO ledger.events (position, id, stream, version, type, recorded_at, actor, data)
        SELECT n, gen_random_uuid(), 'assignment/HERO/' || n, 1, 'AssignmentMade',
               '2026-01-02T03:04:05Z'::timestamptz + n * interval '1 millisecond', 'local',
               json_build_object('n', n)
          FROM generate_series(1, \(count)) AS n
        """)
    try recomputeHead(database)
}

@Suite(.timeLimit(.minutes(10))) struct TreeTests {
    @Test func tilesAreWrittenWithTheEventsThatCompleteThem() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        try await log.createExperiment("HERO")
        // Small batches and large ones are sent in different ways.
        let ends = [0, 100, 251, 252, 300, 2_000, 2_100]
        for (first, last) in zip(ends, ends.dropFirst()) {
            try await log.assign("HERO", subjects: first..<last)
        }
        log.stop()
        let tiles = try KnownTree(database).tiles()
        #expect(tiles.found == tiles.due && tiles.due.count == 8)
        let again = try database.lead()
        try await again.assign("HERO", subjects: 2_100..<2_400)
        again.stop()
        let more = try KnownTree(database).tiles()
        #expect(more.found == more.due && more.due.count == 9)
    }

    @Test func anImportWritesTheSameTiles() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        try await log.createExperiment("HERO")
        try await log.assign("HERO", subjects: 0..<900)
        log.stop()
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let file = directory + "/export.ndjson"
        let copy = try TestDatabase()
        try await onThread {
            _ = try LogExport.run(conninfo: database.conninfo, toFile: file) { _, _ in }
            _ = try LogImport.run(conninfo: copy.conninfo, fromFile: file) { _, _ in }
        }
        let (one, other) = (try KnownTree(database).tiles(), try KnownTree(copy).tiles())
        #expect(one.found == other.found && one.due == other.found && one.due.count == 3)
    }

    @Test func proofsOfALargeLogAreThoseOfItsLeaves() async throws {
        var generator = SeededGenerator()
        let database = try TestDatabase()
        let count = 66_000 + Int.random(in: 0..<600, using: &generator)
        try await onThread { try synthesize(count, in: database) }
        // A log from before there were tiles gets them when it is led.
        let log = try await onThread { try database.lead() }
        defer { log.stop() }
        let tree = try await onThread { try KnownTree(database) }
        let rows = try database.texts(
            "SELECT count(*) FROM ledger.tiles GROUP BY level ORDER BY level")
        #expect(rows == ["\(count / 256)", "1"])
        let head = Int64(count)
        #expect(try await log.reader.root(size: head, head: head) == log.view.head.frontier.root)
        #expect(try await log.reader.root(size: 0, head: head) == MerkleFrontier().root)
        for round in 0..<60 {
            let size =
                round % 2 == 0
                ? Int64.random(in: 1...head, using: &generator)
                : Int64.random(in: max(1, head - 700)...head, using: &generator)
            let position = Int64.random(in: 1...size, using: &generator)
            let from = Int64.random(in: 1...size, using: &generator)
            let root = tree.hash(0..<UInt64(size))
            #expect(try await log.reader.root(size: size, head: head) == root)
            let proof = try await log.reader.inclusion(of: position, size: size, head: head)
            #expect(proof.leaf == tree.leaves[Int(position - 1)])
            #expect(
                MerkleProof.verifyInclusion(
                    of: proof.leaf, at: UInt64(position - 1), size: UInt64(size),
                    hashes: proof.hashes, root: root), "\(position) in \(size)")
            let hashes = try await log.reader.consistency(from: from, to: size, head: head)
            #expect(
                MerkleProof.verifyConsistency(
                    from: UInt64(from), tree.hash(0..<UInt64(from)), to: UInt64(size), root,
                    hashes: hashes), "\(from) to \(size)")
        }
    }

    @Test func missingTilesAreFilledInFromTheLastOneOn() async throws {
        let database = try TestDatabase()
        try await onThread { try synthesize(3_000, in: database) }
        try await onThread { try database.lead().stop() }
        let whole = try KnownTree(database).tiles()
        #expect(whole.found == whole.due && whole.due.count == 11)
        for sql in ["DELETE FROM ledger.tiles WHERE index > 4", "DELETE FROM ledger.tiles"] {
            try database.tamper(sql)
            try await onThread { try database.lead().stop() }
            #expect(try KnownTree(database).tiles().found == whole.due)
        }
    }

    @Test(arguments: [
        "UPDATE ledger.events SET actor = 'x' WHERE position = 1050",
        "UPDATE ledger.tiles SET root = sha256(root) WHERE level = 1 AND index = 2",
        "UPDATE ledger.head SET frontier = overlay(frontier PLACING '\\x00' FROM 7)",
        "DELETE FROM ledger.tiles WHERE level = 1 AND index = 1",
        "DELETE FROM ledger.events WHERE position = 1075",
        "INSERT INTO ledger.tiles VALUES (2, 0, sha256(''), NULL)",
    ])
    func aLogWhoseTilesDoNotFitItsHeadIsNotLed(_ sql: String) async throws {
        let database = try TestDatabase()
        try await onThread {
            try synthesize(1_100, in: database)
            try database.lead().stop()
        }
        try database.tamper(sql)
        let epoch = try database.texts("SELECT position FROM ledger.head")
        await #expect(throws: CorruptLogError.self) {
            try await onThread { try database.lead().stop() }
        }
        #expect(try database.texts("SELECT position FROM ledger.head") == epoch)
    }

    @Test func tilesCanNotBeChanged() async throws {
        let database = try TestDatabase()
        for sql in ["DELETE FROM ledger.tiles", "TRUNCATE ledger.tiles"] {
            #expect(throws: PostgresError.self) { try database.execute(sql) }
        }
    }
}
