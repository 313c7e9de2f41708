import Domain
import JSON
import Logging
import Postgres
import Proof

/// Tiles as rows of a COPY.
package struct TileRows: Sendable {
    package static let copy = """
        COPY ledger.tiles (level, index, root, leaves) FROM STDIN (FORMAT binary)
        """

    package private(set) var rows = CopyRows()

    package init(_ tiles: [TreeTile]) {
        for tile in tiles {
            rows.beginRow(columns: 4)
            rows.int16(Int16(tile.level))
            rows.int64(Int64(tile.index))
            rows.bytes(tile.root.bytes)
            if let leaves = tile.leaves { rows.bytes(Digest.bytes(leaves)) } else { rows.null() }
        }
    }
}

/// ledger.tiles on the side of the one who writes the log.
package enum Tiles {
    /// Events whose tiles are filled in at once, to bound what they take in memory.
    private static let eventsPerStep: Int64 = 65_536

    /// What helps where the table itself is wrong.
    static let remedy = """
        Empty the table with its trigger disabled, and the next leader fills it anew from the events
        """

    /// The open tile at the head, once all complete ones are in the table.
    ///
    /// Those that are missing are filled in from the events. The tree that comes out must be the one
    /// the head row keeps, or nothing may be appended to this log.
    package static func open(
        at head: Head, _ connection: Connection, _ logger: Logger
    ) throws -> TreeTiles {
        let size = UInt64(head.position)
        let kept = try leavesInTiles(of: size, connection)
        var frontier = try TreeReader.frontier(size: kept, connection)
        var tiles = TreeTiles()
        let missing = head.position - Int64(kept)
        if missing >= Int64(TreeGroup.width) {
            logger.notice("filling in tiles of the tree", metadata: ["events": "\(missing)"])
        }
        try connection.execute("BEGIN")
        do {
            var after = Int64(kept)
            while after < head.position {
                let through = min(after + eventsPerStep, head.position)
                var completed: [TreeTile] = []
                try LogScan.leaves(after: after, through: through, connection) { _, leaf in
                    tiles.append(leaf, to: &frontier, completed: &completed)
                }
                if !completed.isEmpty {
                    _ = try connection.copyIn(TileRows.copy) { writer throws(PostgresError) in
                        try writer.append(TileRows(completed).rows)
                    }
                }
                after = through
            }
            guard frontier == head.frontier else {
                throw CorruptLogError(
                    description: "the tree over the log's \(head.position) events is not the one "
                        + "that the head row keeps: an event, a tile or the head was changed. "
                        + "Nothing is appended to such a log; `ledger verify` says where it is wrong"
                )
            }
            try connection.execute("COMMIT")
        } catch {
            if !connection.isBroken { try connection.execute("ROLLBACK") }
            throw error
        }
        return tiles
    }

    /// How many leaves the tiles cover, which are complete from the first on.
    private static func leavesInTiles(
        of size: UInt64, _ connection: Connection
    ) throws -> UInt64 {
        let levels = 1...7
        let statements = levels.map {
            Statement(
                "SELECT coalesce(max(index) + 1, 0) FROM ledger.tiles WHERE level = $1",
                [.int64(Int64($0))])
        }
        let counts = try connection.pipeline(statements).map { UInt64($0.int64(0, 0)) }
        let leaves = counts[0] << UInt64(TreeGroup.heights)
        let isWhole = zip(levels, counts).allSatisfy { level, count in
            count == leaves >> UInt64(TreeGroup.heights * level)
        }
        guard isWhole, leaves <= size else {
            throw CorruptLogError(
                description: "ledger.tiles has \(counts[0]) tiles of level 1, which does not fit "
                    + "its other levels or the \(size) events of the head. \(remedy)")
        }
        return leaves
    }
}

/// Computes the hashes of events' lines from the columns of ``LogScan/eventColumns``.
struct LineHasher: ~Copyable {
    private var writer = LineWriter()
    private var line = LineBuffer(capacity: 4_096)

    /// An event, as far as the tree is concerned.
    struct Hashed {
        var position: Int64
        /// In microseconds.
        var recordedAt: Int64
        var leaf: Digest
    }

    mutating func next(_ fields: inout CopyFields) -> Hashed {
        var ahead = fields
        for _ in 0..<5 { _ = ahead.next() }
        let recordedAt = ahead.timestamp()
        line.removeAll()
        let position = writer.write(&fields, to: &line)
        // A leaf is the line without its break.
        let leaf = line.withBytes { MerkleFrontier.leaf(.init(rebasing: $0.dropLast())) }
        return Hashed(position: position, recordedAt: recordedAt, leaf: leaf)
    }
}

extension LogScan {
    /// Gives each event's leaf after a position, up to another; a missing position ends it.
    package static func leaves(
        after: Int64, through: Int64, _ connection: Connection,
        _ body: (Int64, Digest) throws -> Void
    ) throws {
        var hasher = LineHasher()
        var last = after
        func missing() -> CorruptLogError {
            CorruptLogError(
                description: "the log has no event at position \(last + 1); `ledger verify` tells "
                    + "more")
        }
        try connection.copyOut(
            """
            COPY (SELECT \(eventColumns) FROM ledger.events
                   WHERE position > \(after) AND position <= \(through) ORDER BY position)
            TO STDOUT (FORMAT binary)
            """
        ) { message in
            var fields = CopyFields(message)
            let event = hasher.next(&fields)
            guard event.position == last + 1 else { throw missing() }
            try body(event.position, event.leaf)
            last = event.position
        }
        guard last >= through else { throw missing() }
    }
}
