import Domain
import Postgres

/// The end of the log: what the head row holds.
package struct Head: Sendable, Equatable {
    /// Of the last event; 0 in an empty log.
    package var position: Int64
    /// The leader's term.
    package var epoch: Int64
    /// Of the last event.
    package var recordedAt: Timestamp
    package var frontier: MerkleFrontier

    /// Of a log without an event, before anyone has led it.
    package static let empty = Head(
        position: 0, epoch: 0, recordedAt: Timestamp(microseconds: 0), frontier: MerkleFrontier())
}

/// The database holds what this program did not write.
package struct CorruptLogError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

extension Head {
    /// Reads the head row.
    package static func read(_ connection: Connection) throws -> Head {
        try Head(
            connection.query("SELECT position, epoch, recorded_at, frontier FROM ledger.head"))
    }

    /// Begins a new epoch: whoever wrote under the old one can't any more.
    ///
    /// - Parameter url: where the others reach the one who leads it.
    package static func beginEpoch(_ connection: Connection, url: String? = nil) throws -> Head {
        try connection.execute("BEGIN")
        let head = try Head(
            connection.query(
                """
                UPDATE ledger.head SET epoch = epoch + 1
                RETURNING position, epoch, recorded_at, frontier
                """))
        try Leadership.announce(url, epoch: head.epoch, connection)
        try connection.execute("COMMIT")
        return head
    }

    private init(_ rows: Rows) throws {
        guard rows.count == 1 else {
            throw CorruptLogError(description: "ledger.head has \(rows.count) rows, not 1")
        }
        let position = rows.int64(0, 0)
        guard
            let frontier = MerkleFrontier(size: UInt64(position), bytes: rows.bytes(0, 3))
        else {
            throw CorruptLogError(
                description: "the frontier in ledger.head is not one of \(position) leaves")
        }
        self.init(
            position: position, epoch: rows.int64(0, 1),
            recordedAt: Timestamp(microseconds: rows.timestamp(0, 2)), frontier: frontier)
    }
}
