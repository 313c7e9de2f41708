import Postgres
import Proof

/// The row of ledger.checkpoint: the latest checkpoint, for every node to show.
package struct StoredCheckpoint: Sendable {
    package var note: [UInt8]
    package var size: Int64
    /// The text of the public key that signed it.
    package var verifierKey: String
    /// The hashes of the leaves behind the last complete tile.
    package var leaves: [Digest]

    package init(note: [UInt8], size: Int64, verifierKey: String, leaves: [Digest]) {
        self.note = note
        self.size = size
        self.verifierKey = verifierKey
        self.leaves = leaves
    }

    /// Nil where nothing was ever signed.
    package static func read(_ connection: Connection) throws -> StoredCheckpoint? {
        let rows = try connection.query("SELECT note, size, vkey, leaves FROM ledger.checkpoint")
        guard rows.count > 0 else { return nil }
        return StoredCheckpoint(
            note: Array(rows.text(0, 0).utf8), size: rows.int64(0, 1), verifierKey: rows.text(0, 2),
            leaves: Digest.digests(rows.bytes(0, 3)))
    }

    /// Puts the row in the place of an older one, or of one that another key has signed.
    package func write(_ connection: Connection) throws(PostgresError) {
        _ = try connection.query(
            """
            INSERT INTO ledger.checkpoint AS c (note, size, vkey, leaves) VALUES ($1, $2, $3, $4)
            ON CONFLICT (singleton) DO UPDATE
              SET note = excluded.note, size = excluded.size, vkey = excluded.vkey,
                  leaves = excluded.leaves, signed_at = now()
            WHERE c.size < excluded.size OR c.vkey <> excluded.vkey
            """,
            [
                .text(String(decoding: note, as: UTF8.self)), .int64(size), .text(verifierKey),
                .bytes(Digest.bytes(leaves)),
            ])
    }
}

extension EventReader {
    /// The latest checkpoint that was signed, by whichever node; nil where there is none.
    package func storedCheckpoint() async throws -> StoredCheckpoint? {
        try await pool.run { try StoredCheckpoint.read($0) }
    }
}
