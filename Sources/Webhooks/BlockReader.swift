import Domain
import EventLog
import Postgres

/// Reads blocks of the log for endpoints.
///
/// The end of the log has a connection of its own, so endpoints far behind hold up none that keep
/// pace.
struct BlockReader: Sendable {
    private let tail: ConnectionPool
    private let history: ConnectionPool

    init(conninfo: String) {
        let prepare: @Sendable (Connection) throws(PostgresError) -> Void = {
            (connection) throws(PostgresError) in try LogScan.prepare(connection)
        }
        tail = ConnectionPool(
            conninfo: conninfo, size: 1, name: "ledger webhook tail", prepare: prepare)
        history = ConnectionPool(
            conninfo: conninfo, size: 2, name: "ledger webhook history", queueMax: 1 << 16,
            prepare: prepare)
    }

    func readTail(after: Int64, through: Int64) async throws -> LogBlock {
        try await tail.run { try Self.read(after, through, $0) }
    }

    func read(after: Int64, through: Int64) async throws -> LogBlock {
        try await history.run { try Self.read(after, through, $0) }
    }

    private static func read(
        _ after: Int64, _ through: Int64, _ connection: Connection
    ) throws -> LogBlock {
        var events: [StoredEvent] = []
        events.reserveCapacity(Int(through - after))
        try LogScan.read(LogScan.eventColumns, after: after, through: through, connection) {
            position, fields in
            events.append(try StoredEvent(position: position, &fields))
        }
        return LogBlock(after: after, through: through, events: events)
    }

    /// A block of these positions alone, which ascend.
    func read(_ positions: [Int64]) async throws -> LogBlock {
        try await history.run { connection in
            let rows = try connection.query(
                """
                SELECT \(LogScan.eventColumns) FROM ledger.events
                 WHERE position = ANY ($1::bigint[]) ORDER BY position
                """, [.array(BinaryArray(int64s: positions))])
            let events = try EventReader.events(rows)
            guard events.count == positions.count else {
                throw CorruptLogError(
                    description: "the log lacks events that were there; `ledger verify` tells more")
            }
            return LogBlock(
                after: (positions.first ?? 1) - 1, through: positions.last ?? 0, events: events)
        }
    }

    func shutdown() {
        tail.shutdown()
        history.shutdown()
    }
}
