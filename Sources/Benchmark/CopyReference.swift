import Postgres

/// What PostgreSQL does with the same rows when nobody is in its way.
struct CopyReference {
    private let connection: Connection
    /// Rows of one transaction.
    private static let rowsPerCopy = 10_000
    /// Without the correlation, which is NULL in every row of the benchmark.
    private static let columns = "position, id, stream, version, type, recorded_at, actor, data"
    private static let columnCount = 8

    /// Makes a table of exactly the definition of `ledger.events`, with both its indexes.
    init(_ connection: Connection) throws {
        self.connection = connection
        try connection.execute(
            "CREATE SCHEMA bench; CREATE TABLE bench.events (LIKE ledger.events INCLUDING ALL)")
    }

    /// Copies rows of the log into the table, and returns how many a second.
    ///
    /// They are read and encoded before the clock starts.
    func fill(after position: Int64, rows: Int) throws -> Double {
        var chunks: [CopyRows] = []
        try connection.copyOut(
            """
            COPY (SELECT \(Self.columns) FROM ledger.events
                   WHERE position > \(position) AND position <= \(position + Int64(rows))
                   ORDER BY position) TO STDOUT (FORMAT binary)
            """
        ) { message in
            if chunks.last.map({ $0.count == Self.rowsPerCopy }) ?? true {
                chunks.append(CopyRows(capacity: Self.rowsPerCopy * 400))
            }
            var fields = CopyFields(message)
            chunks[chunks.count - 1].beginRow(columns: Self.columnCount)
            for _ in 0..<Self.columnCount { chunks[chunks.count - 1].bytes(fields.bytes()) }
        }
        var copied = 0
        let started = ContinuousClock.now
        for chunk in chunks {
            copied += try connection.copyIn(
                "COPY bench.events (\(Self.columns)) FROM STDIN (FORMAT binary)"
            ) { writer in try writer.append(chunk) }
        }
        let seconds = (ContinuousClock.now - started).seconds
        guard copied == rows else { throw BenchmarkError("\(copied) of \(rows) rows were copied") }
        return Double(rows) / seconds
    }

    /// Reads the whole log in order, and returns how many rows a second.
    static func readOut(_ connection: Connection) throws -> Double {
        var rows = 0
        let started = ContinuousClock.now
        try connection.copyOut(
            "COPY (SELECT * FROM ledger.events ORDER BY position) TO STDOUT (FORMAT binary)"
        ) { _ in rows += 1 }
        return Double(rows) / (ContinuousClock.now - started).seconds
    }
}
