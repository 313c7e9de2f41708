import Domain
import JSON
import Postgres

/// What a check of the whole log has shown.
package struct LogReport: Sendable {
    /// Events read.
    package var size: Int64
    /// Of the tree over the lines of the events that are there.
    package var root: Digest
    /// The first things that are wrong.
    package var findings: [LogFinding]
    /// All things that are wrong.
    package var findingCount: Int
    package var duration: Duration
}

/// Checks the log against itself and against the head.
package enum LogVerification {
    /// Streams events once and recomputes their lines and the tree over them; the log is read in one
    /// snapshot, and the server goes on.
    package static func run(
        conninfo: String, progress: @escaping LogProgress
    ) throws -> LogReport {
        let start = ContinuousClock.now
        let connection = try Connection(conninfo, applicationName: "ledger verify")
        defer { connection.close() }
        let head = try Self.snapshot(connection)
        var check = LogCheck()
        try readAll(connection) { event, line in
            check.add(event, line: line)
            if check.tree.size % 4_096 == 0 {
                progress(Int(check.tree.size), Int(head.position))
            }
        }
        progress(Int(check.tree.size), Int(head.position))
        try checkVersions(connection, &check)
        check.compare(with: head)
        try connection.execute("COMMIT")
        return LogReport(
            size: Int64(check.tree.size), root: check.tree.root, findings: check.findings,
            findingCount: check.findingCount, duration: ContinuousClock.now - start)
    }

    /// Begins to read the log in one snapshot, and reads its head.
    static func snapshot(_ connection: Connection) throws -> Head {
        try LogScan.prepare(connection)
        let found = try connection.query("SELECT to_regclass('ledger.head') IS NOT NULL")
        guard found.bool(0, 0) else { throw NoLogError() }
        try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return try Head.read(connection)
    }

    /// All events that are there, also where one is missing, with their lines.
    static func readAll(
        _ connection: Connection, _ body: (StoredEvent, [UInt8]) throws -> Void
    ) throws {
        var line = JSONWriter(capacity: 4_096)
        let sql = """
            COPY (SELECT \(LogScan.eventColumns) FROM ledger.events ORDER BY position)
            TO STDOUT (FORMAT binary)
            """
        try connection.copyOut(sql) { message in
            var fields = CopyFields(message)
            let event = try StoredEvent(position: fields.int64(), &fields)
            line.bytes.removeAll(keepingCapacity: true)
            event.writeLine(to: &line)
            try body(event, line.bytes)
        }
    }

    /// Versions count the events of each stream from 1, in the order of positions.
    static func checkVersions(_ connection: Connection, _ check: inout LogCheck) throws {
        let streams = try connection.query(
            """
            SELECT stream FROM ledger.events GROUP BY stream
            HAVING min(version) <> 1 OR count(*) <> max(version) LIMIT \(LogCheck.findingsMax)
            """)
        for row in 0..<streams.count {
            let stream = streams.text(row, 0)
            let wrong = try connection.query(
                """
                SELECT position, version, n
                  FROM (SELECT position, version, row_number() OVER (ORDER BY position) AS n
                          FROM ledger.events WHERE stream = $1) AS e
                 WHERE version <> n ORDER BY position LIMIT 1
                """, [.text(stream)])
            guard wrong.count > 0 else { continue }
            check.find(
                wrong.int64(0, 0),
                "version \(wrong.int64(0, 1)) of stream \(stream) where \(wrong.int64(0, 2)) is due"
            )
        }
    }
}

/// There is no ledger in the database.
package struct NoLogError: Error, CustomStringConvertible {
    package var description: String {
        "There is no ledger in this database yet; `ledger serve` or `ledger import` makes one."
    }
}
