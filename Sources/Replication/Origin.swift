import EventLog
import Postgres
import Proof

/// The row of ledger.origin: what makes a database a follower's.
package struct Origin: Sendable, Equatable {
    /// The source's address.
    package var url: String
    /// The key that is trusted.
    package var key: VerifierKey
    /// The highest of the source's epochs that was seen.
    package var sourceEpoch: Int64
    /// The events that a signed checkpoint covers.
    package var verifiedSize: Int64
    package var divergence: Divergence?
    /// Where the follower became a leader of its own, if it did.
    package var promoted: Promoted?

    package struct Promoted: Sendable, Equatable {
        package var position: Int64
        /// For people to read.
        package var at: String
    }

    /// The row; nil in a database that follows nobody.
    package static func read(
        _ connection: Connection, locking: Bool = false
    ) throws -> Origin? {
        let found = try connection.query("SELECT to_regclass('ledger.origin') IS NOT NULL")
        guard found.bool(0, 0) else { return nil }
        let rows = try connection.query(
            """
            SELECT url, vkey, source_epoch, verified_size, halted_kind, halted_position,
                   halted_reason, promoted_position, promoted_at::text
              FROM ledger.origin
            """ + (locking ? " FOR UPDATE" : ""))
        guard rows.count > 0 else { return nil }
        var origin = Origin(
            url: rows.text(0, 0), key: try VerifierKey(rows.text(0, 1)),
            sourceEpoch: rows.int64(0, 2), verifiedSize: rows.int64(0, 3))
        if !rows.isNull(0, 4), let kind = Divergence.Kind(rawValue: rows.text(0, 4)) {
            origin.divergence = Divergence(
                kind, at: rows.isNull(0, 5) ? nil : rows.int64(0, 5), rows.text(0, 6))
        }
        if !rows.isNull(0, 7) {
            origin.promoted = Promoted(position: rows.int64(0, 7), at: rows.text(0, 8))
        }
        return origin
    }

    /// Makes the database a follower's, or a follower of another address of the same log.
    func write(_ connection: Connection) throws {
        _ = try connection.query(
            """
            INSERT INTO ledger.origin (url, vkey, source_epoch, verified_size)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (singleton) DO UPDATE
              SET url = excluded.url, vkey = excluded.vkey,
                  halted_kind = NULL, halted_position = NULL, halted_reason = NULL, halted_at = NULL
            """,
            [.text(url), .text(key.description), .int64(sourceEpoch), .int64(verifiedSize)])
    }

    /// Records that this follower can go on no more.
    static func halt(_ divergence: Divergence, _ connection: Connection) throws {
        _ = try connection.query(
            """
            UPDATE ledger.origin
               SET halted_kind = $1, halted_position = $2, halted_reason = $3, halted_at = now()
            """,
            [
                .text(divergence.kind.rawValue), divergence.position.map { .int64($0) } ?? .null,
                .text(divergence.text),
            ])
    }
}
