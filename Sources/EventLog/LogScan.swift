import Domain
import Postgres

/// Reads long stretches of the log in order, through one COPY.
package enum LogScan {
    /// A whole event, for ``StoredEvent/init(_:)``.
    package static let eventColumns =
        "position, id, stream, version, type, recorded_at, actor, data, correlation"

    /// Makes the session's plans follow the index on positions, whatever the statistics say.
    package static func prepare(_ connection: Connection) throws(PostgresError) {
        try connection.execute(
            """
            SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
            SET max_parallel_workers_per_gather = 0; SET jit = off;
            SET client_min_messages = warning
            """)
    }

    /// Lends the columns of each event after a position, up to another.
    ///
    /// The columns must begin with `position`; a position that is missing ends the scan.
    package static func read(
        _ columns: String, after: Int64, through: Int64, _ connection: Connection,
        _ row: (Int64, inout CopyFields) throws -> Void
    ) throws {
        var last = after
        try connection.copyOut(
            """
            COPY (SELECT \(columns) FROM ledger.events
                   WHERE position > \(after) AND position <= \(through) ORDER BY position)
            TO STDOUT (FORMAT binary)
            """
        ) { message in
            var fields = CopyFields(message)
            let position = fields.int64()
            guard position == last + 1 else {
                throw CorruptLogError(
                    description: "the log has no event at position \(last + 1), but one at "
                        + "\(position); `ledger verify` tells more")
            }
            try row(position, &fields)
            last = position
        }
        guard last >= through else {
            throw CorruptLogError(
                description: "the log has no event at position \(last + 1), though it goes on to "
                    + "\(through); `ledger verify` tells more")
        }
    }
}

extension StoredEvent {
    /// Reads what follows the position among ``LogScan/eventColumns``.
    package init(position: Int64, _ fields: inout CopyFields) throws {
        guard let id = EventID(bytes: Array(fields.bytes())) else {
            throw CorruptLogError(description: "the id of event \(position) is malformed")
        }
        self.init(
            position: position, id: id, stream: fields.text(), version: fields.int64(),
            type: fields.text(), recordedAt: Timestamp(microseconds: fields.timestamp()),
            actor: fields.text(), data: Array(fields.bytes()),
            correlation: fields.next().map { String(decoding: $0, as: UTF8.self) })
    }
}
