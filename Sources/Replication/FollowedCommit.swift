import EventLog
import Postgres
import Proof

/// Lines on their way into the database, in one transaction with all that goes with them.
struct FollowedCommit {
    let from: Head
    let to: Head
    let batch: LineBatch
    let tiles: [TreeTile]
    let verifiedSize: Int64
    let sourceEpoch: Int64

    func run(_ connection: Connection) throws(PostgresError) {
        let frontier = to.frontier.roots.map(\.description).joined()
        let keepTiles = tiles.isEmpty ? "" : "\(TileRows.copy);"
        try connection.execute(
            """
            BEGIN;
            SELECT ledger.advance_head(
                \(from.position), \(from.epoch), \(to.position), '\\x\(frontier)',
                '\(to.recordedAt)');
            COPY ledger.events (\(LogScan.eventColumns)) FROM STDIN (FORMAT binary);
            \(keepTiles)
            UPDATE ledger.origin
               SET verified_size = \(verifiedSize), source_epoch = \(sourceEpoch);
            NOTIFY ledger, '\(to.position)';
            COMMIT
            """, copying: [batch.rows] + (tiles.isEmpty ? [] : [TileRows(tiles).rows]))
    }

    /// What PostgreSQL's refusal of the lines means; nil where it is not about them.
    func divergence(_ error: PostgresError) -> Divergence? {
        guard ["22", "23"].contains(where: { error.sqlState?.hasPrefix($0) == true }) else {
            return nil
        }
        let text = "\(error.message)\(error.detail.map { " (\($0))" } ?? "")"
        return Divergence(
            .malformedLine, at: from.position + 1,
            "among the events up to \(to.position) is one that PostgreSQL refuses: \(text)")
    }

    /// Keeps how far the log is proven, and the highest epoch that the source was led under.
    static func storeVerified(
        _ size: UInt64, sourceEpoch: Int64, _ connection: Connection
    ) throws {
        _ = try connection.query(
            "UPDATE ledger.origin SET verified_size = $1, source_epoch = $2",
            [.int64(Int64(size)), .int64(sourceEpoch)])
    }

    /// Keeps a checkpoint of what is stored, for those who follow this follower.
    static func store(
        _ checkpoint: Checkpoint, _ key: VerifierKey, _ connection: Connection
    ) throws {
        var leaves: [Digest] = []
        let open = checkpoint.size % Int64(TreeGroup.width)
        if open > 0 {
            try LogScan.leaves(
                after: checkpoint.size - open, through: checkpoint.size, connection
            ) { _, leaf in leaves.append(leaf) }
        }
        try StoredCheckpoint(
            note: checkpoint.bytes, size: checkpoint.size, verifierKey: "\(key)", leaves: leaves
        ).write(connection)
    }

    /// The size of the checkpoint that is kept; -1 if there is none.
    static func storedSize(_ connection: Connection) throws -> Int64 {
        try StoredCheckpoint.read(connection)?.size ?? -1
    }
}
