import Domain
import JSON
import Postgres
import Proof

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

/// Another copy of the log, asked for the roots of its tree.
package struct OtherLog {
    package var name: String
    /// The tree at a size; at the size that it has, where none is given.
    package var tree: (Int64?) throws -> TreeHead

    package init(name: String, tree: @escaping (Int64?) throws -> TreeHead) {
        self.name = name
        self.tree = tree
    }
}

/// Checks the log against itself, its tiles and its head, and against what others keep of it.
package enum LogVerification {
    /// Events whose tiles are read at once: a tile of level 2.
    private static let eventsPerStep: Int64 = 65_536

    /// Streams events once and recomputes their lines and the tree over them; the log is read in one
    /// snapshot, and the server goes on.
    package static func run(
        conninfo: String, since kept: [KeptCheckpoint] = [], against other: OtherLog? = nil,
        progress: @escaping LogProgress
    ) throws -> LogReport {
        let start = ContinuousClock.now
        let connection = try Connection(conninfo, applicationName: "ledger verify")
        defer { connection.close() }
        let head = try Self.snapshot(connection)
        let hasTiles = try Self.hasTiles(connection)
        var damage = LogFindings()
        let stored = hasTiles ? try StoredCheckpoint.read(connection) : nil
        let own = stored.flatMap { keptByDatabase($0, &damage) }
        var check = TreeCheck(head: head, checkpoints: kept + (own.map { [$0] } ?? []))
        check.find(damage)
        try readAll(connection, head, hasTiles, &check) { progress(Int($0), Int(head.position)) }
        var versions = LogFindings()
        try checkVersions(connection, &versions)
        check.find(versions)
        check.finish(stored, hasTiles: hasTiles)
        var findings = check.findings
        try tell(check, own, connection, &findings)
        if let other, hasTiles { try compare(head, with: other, connection, &findings) }
        try connection.execute("COMMIT")
        return LogReport(
            size: check.count, root: check.tree.root, findings: findings.first,
            findingCount: findings.count, duration: ContinuousClock.now - start)
    }

    /// Begins to read the log in one snapshot, and reads its head.
    static func snapshot(_ connection: Connection) throws -> Head {
        try LogScan.prepare(connection)
        let found = try connection.query("SELECT to_regclass('ledger.head') IS NOT NULL")
        guard found.bool(0, 0) else { throw NoLogError() }
        try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return try Head.read(connection)
    }

    /// Whether the log is of a time when there were tiles.
    private static func hasTiles(_ connection: Connection) throws -> Bool {
        try connection.query("SELECT to_regclass('ledger.checkpoint') IS NOT NULL").bool(0, 0)
    }

    // MARK: Events

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

    /// Gives the check all events, step by step, each with the tiles that it completes.
    private static func readAll(
        _ connection: Connection, _ head: Head, _ hasTiles: Bool, _ check: inout TreeCheck,
        _ progress: (Int64) -> Void
    ) throws {
        var hasher = LineHasher()
        var after: Int64 = 0
        repeat {
            let through = after + eventsPerStep
            // Also what is in front of the first position and behind the last.
            var limits: [String] = []
            if after > 0 { limits.append("position > \(after)") }
            if through < head.position { limits.append("position <= \(through)") }
            let condition = limits.isEmpty ? "true" : limits.joined(separator: " AND ")
            try connection.copyOut(
                """
                COPY (SELECT \(LogScan.eventColumns) FROM ledger.events
                       WHERE \(condition) ORDER BY position)
                TO STDOUT (FORMAT binary)
                """
            ) { message in
                var fields = CopyFields(message)
                check.add(hasher.next(&fields))
                if check.count % 8_192 == 0 { progress(check.count) }
            }
            if hasTiles {
                check.endStep(
                    through: through,
                    try tiles(through: min(through, head.position), after: after, connection))
            }
            after = through
        } while after < head.position
        progress(check.count)
    }

    /// The tiles that end after a position, up to another.
    private static func tiles(
        through last: Int64, after: Int64, _ connection: Connection
    ) throws -> [TreeTile] {
        var tiles: [TreeTile] = []
        for level in 1...7 {
            let width = Int64(1) << Int64(8 * level)
            guard after / width < last / width else { break }
            let rows = try connection.query(
                """
                SELECT index, root, leaves FROM ledger.tiles
                 WHERE level = $1 AND index >= $2 AND index < $3 ORDER BY index
                """, [.int64(Int64(level)), .int64(after / width), .int64(last / width)])
            for row in 0..<rows.count {
                guard let root = Digest(rows.bytes(row, 1)) else { continue }
                tiles.append(
                    TreeTile(
                        level: level, index: UInt64(rows.int64(row, 0)), root: root,
                        leaves: rows.isNull(row, 2) ? nil : Digest.digests(rows.bytes(row, 2))))
            }
        }
        return tiles
    }

    /// Versions count the events of each stream from 1, in the order of positions.
    static func checkVersions(_ connection: Connection, _ findings: inout LogFindings) throws {
        let streams = try connection.query(
            """
            SELECT stream FROM ledger.events GROUP BY stream
            HAVING min(version) <> 1 OR count(*) <> max(version) LIMIT \(LogFindings.kept)
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
            findings.add(
                wrong.int64(0, 0),
                "version \(wrong.int64(0, 1)) of stream \(stream) where \(wrong.int64(0, 2)) is due"
            )
        }
    }

    // MARK: Checkpoints

    /// The checkpoint in the database, which is one more that the log must extend.
    private static func keptByDatabase(
        _ stored: StoredCheckpoint, _ findings: inout LogFindings
    ) -> KeptCheckpoint? {
        do throws(NoteError) {
            let checkpoint = try Checkpoint(stored.note)
            try checkpoint.verify(VerifierKey(stored.verifierKey))
            return KeptCheckpoint(checkpoint, place: "the checkpoint in the database")
        } catch {
            findings.add(nil, "the checkpoint in the database was changed: \(error)")
            return nil
        }
    }

    /// Tells which checkpoints the log contradicts, and what points at the events that were changed.
    private static func tell(
        _ check: TreeCheck, _ own: KeptCheckpoint?, _ connection: Connection,
        _ findings: inout LogFindings
    ) throws {
        var unexplained: KeptCheckpoint?
        for kept in check.contradicted {
            let isExplained = check.explains(kept)
            if isExplained, kept.place == own?.place { continue }
            let first = min(check.confirmedSize, kept.checkpoint.size - 1) + 1
            findings.add(
                nil,
                "the log does not extend \(kept.place): an event among positions \(first) to "
                    + "\(kept.checkpoint.size) was changed, removed or put in since it was signed")
            if !isExplained, unexplained == nil { unexplained = kept }
        }
        if let kept = unexplained ?? check.tooLarge.first(where: { !check.explains($0) }) {
            try tellEvidence(of: kept, check, isNeeded: unexplained != nil, connection, &findings)
        }
    }

    private static func tellEvidence(
        of kept: KeptCheckpoint, _ check: TreeCheck, isNeeded: Bool, _ connection: Connection,
        _ findings: inout LogFindings
    ) throws {
        let first = check.confirmedSize + 1
        let suspects = try PhysicalEvidence.suspects(
            in: first...max(first, kept.checkpoint.size), connection)
        for suspect in suspects { findings.add(suspect.position, suspect.text) }
        guard suspects.isEmpty, isNeeded else { return }
        findings.add(
            nil,
            "nothing in PostgreSQL's rows says which event it is: they were imported or restored, or "
                + "all written anew. An older checkpoint (--since) narrows the range, and another copy "
                + "of the log (--against) names the event")
    }

    // MARK: Another copy

    /// Finds the first position at which two logs differ, by asking for roots.
    private static func compare(
        _ head: Head, with other: OtherLog, _ connection: Connection,
        _ findings: inout LogFindings
    ) throws {
        let size = UInt64(head.position)
        let common = min(head.position, try other.tree(nil).size)
        func differ(_ size: Int64) throws -> Bool {
            let root = try TreeReader.root(
                size: UInt64(size), head: UInt64(head.position), connection)
            return try other.tree(size).root != root
        }
        guard size > 0, common > 0, try differ(common) else { return }
        var (same, different) = (Int64(0), common)
        while different - same > 1 {
            let middle = same + (different - same) / 2
            if try differ(middle) { different = middle } else { same = middle }
        }
        findings.add(different, "from here on the log is not the one at \(other.name)")
    }
}

/// What PostgreSQL's rows tell of when they were written, for a log whose hashes were all computed
/// anew.
///
/// The ledger writes each batch in a transaction of its own, all its events have one time, and no
/// row is ever written again. So transactions grow along positions, and each has one time.
enum PhysicalEvidence {
    private static let suspicions = [
        (
            """
            SELECT position FROM (
              SELECT position, age(xmin) AS own,
                     max(age(xmin)) OVER (ORDER BY position DESC
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS behind
                FROM ledger.events WHERE position >= $1) AS e
             WHERE behind > own AND position <= $2 ORDER BY position
            """,
            "suspect: its row was written later than those of events behind it"
        ),
        (
            """
            SELECT min(position) FROM ledger.events WHERE position >= $1 AND position <= $2
             GROUP BY xmin::text HAVING min(recorded_at) <> max(recorded_at) AND min(position) > 1
             ORDER BY 1
            """,
            "suspect: its row was written in one transaction with others behind it, though they were "
                + "recorded at different times"
        ),
        (
            """
            SELECT position FROM (
              SELECT position, recorded_at, age(xmin) AS own,
                     lag(recorded_at) OVER w AS time, lag(age(xmin)) OVER w AS front
                FROM ledger.events WHERE position >= $1 AND position <= $2
              WINDOW w AS (ORDER BY position)) AS e
             WHERE time = recorded_at AND front > own ORDER BY position
            """,
            "suspect: its row was written later than that of the event in front of it, though they "
                + "were recorded at one time"
        ),
    ]

    /// The rows among positions that contradict this, each named once.
    static func suspects(
        in range: ClosedRange<Int64>, _ connection: Connection
    ) throws -> [LogFinding] {
        var suspects: [Int64: LogFinding] = [:]
        for (sql, text) in suspicions {
            let rows = try connection.query(
                "\(sql) LIMIT \(LogFindings.kept)",
                [.int64(range.lowerBound), .int64(range.upperBound)])
            for row in 0..<rows.count {
                let position = rows.int64(row, 0)
                if suspects[position] != nil { continue }
                suspects[position] = LogFinding(position: position, text: text)
            }
        }
        return suspects.values.sorted { ($0.position ?? 0) < ($1.position ?? 0) }
    }
}

/// There is no ledger in the database.
package struct NoLogError: Error, CustomStringConvertible {
    package var description: String {
        "There is no ledger in this database yet; `ledger serve` or `ledger import` makes one."
    }
}
