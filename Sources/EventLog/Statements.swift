import Domain
import JSON
import Postgres

/// A batch's events as rows of a COPY.
struct EventRows: Sendable {
    static let copy = """
        COPY ledger.events
            (position, id, stream, version, type, recorded_at, actor, data, correlation)
        FROM STDIN (FORMAT binary)
        """

    /// Those not taken yet.
    private(set) var rows = CopyRows()
    /// Of all, taken or not.
    private(set) var count = 0

    /// Hands out the rows so far, to be sent while the next ones are made.
    mutating func take() -> CopyRows {
        defer { rows = CopyRows(capacity: rows.byteCount) }
        return rows
    }

    mutating func append(
        _ event: RecordedEvent, at recordedAt: Timestamp, actor: String, correlation: String?
    ) {
        count += 1
        rows.beginRow(columns: 9)
        rows.int64(event.position)
        rows.bytes(event.id.bytes)
        rows.text(event.stream)
        rows.int64(event.version)
        rows.text(event.type)
        rows.timestamp(recordedAt.microseconds)
        rows.text(actor)
        rows.bytes(event.data)
        rows.text(orNull: correlation)
    }
}

/// The answers a batch keeps, as rows of a COPY.
struct IdempotencyRows: Sendable {
    static let copy = """
        COPY ledger.idempotency (key, request, answer, recorded_at)
        FROM STDIN (FORMAT binary)
        """

    private(set) var rows = CopyRows()

    mutating func append(_ key: String, _ kept: KeptAnswer, at recordedAt: Timestamp) {
        rows.beginRow(columns: 4)
        rows.text(key)
        rows.bytes(kept.request.bytes)
        rows.bytes(kept.answer)
        rows.timestamp(recordedAt.microseconds)
    }
}

extension Batch {
    /// Records the batch, in one transaction and two round trips.
    func commit(on connection: Connection) throws(PostgresError) {
        try connection.execute(
            "BEGIN; \(advanceHead) \(EventRows.copy); \(keepTiles) \(keepAnswers) \(notify) COMMIT",
            copying: [events.rows] + tileRows + answerRows)
    }

    /// Records the rest of a batch whose events were sent while it was decided.
    func finish(on connection: Connection) throws(PostgresError) {
        try connection.execute(
            "\(advanceHead) \(keepTiles) \(keepAnswers) \(notify) COMMIT",
            copying: tileRows + answerRows)
    }

    /// Begins the transaction of a batch that starts at a head.
    static func begin(at head: Head, on connection: Connection) throws(PostgresError) {
        try connection.execute(
            "BEGIN; SELECT ledger.claim_head(\(head.position), \(head.epoch))")
    }

    private var advanceHead: String {
        let frontier = head.frontier.roots.map(\.description).joined()
        return """
            SELECT ledger.advance_head(
                \(start.position), \(start.epoch), \(head.position), '\\x\(frontier)',
                '\(head.recordedAt)');
            """
    }

    private var keepTiles: String { tilesCompleted.isEmpty ? "" : "\(TileRows.copy);" }

    private var tileRows: [CopyRows] {
        tilesCompleted.isEmpty ? [] : [TileRows(tilesCompleted).rows]
    }

    private var keepAnswers: String { answerRows.isEmpty ? "" : "\(IdempotencyRows.copy);" }

    private var answerRows: [CopyRows] {
        answersKept.rows.count > 0 ? [answersKept.rows] : []
    }

    private var notify: String { "NOTIFY ledger, '\(head.position)';" }
}

extension Batch {
    /// Whether what this batch records is in the database: all of it is, or nothing.
    func isRecorded(in connection: Connection) throws -> Bool {
        if let firstEventID {
            let rows = try connection.query(
                "SELECT 1 FROM ledger.events WHERE position = $1 AND id = $2",
                [.int64(start.position + 1), .uuid(firstEventID.bytes)])
            return rows.count > 0
        }
        guard let firstKeptKey else { return false }
        let rows = try connection.query(
            "SELECT 1 FROM ledger.idempotency WHERE key = $1", [.text(firstKeptKey)])
        return rows.count > 0
    }
}

/// Look-ups of what a batch needs to know.
enum LookUp {
    /// The variants of these units, by the log's own index on streams.
    ///
    /// The LIMIT keeps PostgreSQL from joining the whole log instead, which is what it would plan,
    /// once and for long, while the log is small.
    static func placements(
        _ keys: [UnitKey], _ connection: Connection
    ) throws -> [UnitKey: Placement] {
        let rows = try connection.pipeline([
            Statement(
                """
                SELECT k.n, e.position, e.type, e.data,
                       (SELECT version FROM ledger.events
                         WHERE stream = k.stream ORDER BY version DESC LIMIT 1)
                  FROM unnest($1::text[]) WITH ORDINALITY AS k(stream, n),
                       LATERAL (SELECT position, type, data FROM ledger.events
                                 WHERE stream = k.stream AND version = 1 LIMIT 1) AS e
                """, [streams(keys.map(\.stream))])
        ])[0]
        var found: [UnitKey: Placement] = [:]
        for row in 0..<rows.count {
            let event = try LedgerEvent(
                type: rows.text(row, 2), data: try JSONValue.parse(rows.bytes(row, 3)))
            guard var placement = event.placed?.1 else { continue }
            placement.position = rows.int64(row, 1)
            placement.version = rows.int64(row, 4)
            found[keys[Int(rows.int64(row, 0)) - 1]] = placement
        }
        return found
    }

    /// The last event of each of these streams that is there: number, position, version, data.
    private static func last(of streams: [String]) -> Statement {
        Statement(
            """
            SELECT k.n, e.position, e.version, e.data
              FROM unnest($1::text[]) WITH ORDINALITY AS k(stream, n),
                   LATERAL (SELECT position, version, data FROM ledger.events
                             WHERE stream = k.stream ORDER BY version DESC LIMIT 1) AS e
            """, [self.streams(streams)])
    }

    private static func streams(_ names: [String]) -> Parameter {
        .array(BinaryArray(texts: names))
    }

    static func rollouts(
        _ keys: [RolloutKey], _ connection: Connection
    ) throws -> [RolloutKey: RolloutEntry] {
        let rows = try connection.pipeline([last(of: keys.map(\.stream))])[0]
        var found: [RolloutKey: RolloutEntry] = [:]
        for row in 0..<rows.count {
            let data = try JSONValue.parse(rows.bytes(row, 3))
            found[keys[Int(rows.int64(row, 0)) - 1]] = RolloutEntry(
                variant: data["variant"]?.string, position: rows.int64(row, 1),
                version: rows.int64(row, 2))
        }
        return found
    }

    static func unattributedVersions(
        _ units: [UnitKey], _ connection: Connection
    ) throws -> [UnitKey: Int64] {
        let streams = units.map { StreamName.unattributed($0) }
        let rows = try connection.pipeline([last(of: streams)])[0]
        var found: [UnitKey: Int64] = [:]
        for row in 0..<rows.count {
            found[units[Int(rows.int64(row, 0)) - 1]] = rows.int64(row, 2)
        }
        return found
    }

    /// The scores at these positions.
    static func scores(
        _ positions: [Int64], _ connection: Connection
    ) throws -> [Int64: KnownScore] {
        let rows = try connection.query(
            """
            SELECT e.position, e.data,
                   EXISTS (SELECT FROM ledger.events r
                            WHERE r.stream = e.stream AND r.version > e.version
                              AND r.type = 'ScoreRetracted'
                              AND (r.data->>'score')::bigint = e.position)
              FROM ledger.events e
             WHERE e.position = ANY ($1::bigint[]) AND e.type = 'ScoreRecorded'
            """, [.array(BinaryArray(int64s: positions))])
        var found: [Int64: KnownScore] = [:]
        for row in 0..<rows.count {
            let data = try JSONValue.parse(rows.bytes(row, 1))
            let event = try LedgerEvent(type: "ScoreRecorded", data: data)
            guard case .scoreRecorded(let score) = event else { continue }
            found[rows.int64(row, 0)] = KnownScore(score: score, isRetracted: rows.bool(row, 2))
        }
        return found
    }

    /// What the log holds of sealed subjects, by their tokens.
    static func sealedSubjects(
        _ tokens: [String], in experiments: [ResourceID], _ connection: Connection
    ) throws -> [String: KnownSubject] {
        var known: [String: KnownSubject] = [:]
        for token in tokens {
            let units = experiments.map { UnitKey(experiment: $0, subject: token) }
            let names = units.flatMap { [$0.stream, StreamName.unattributed($0)] }
            let found = try existing([StreamName.subject(token)] + names, connection)
            known[token] = KnownSubject(
                experiments: Set(found.filter { $0 > 0 }.map { experiments[($0 - 1) / 2] }),
                isErased: found.contains(0))
        }
        return known
    }

    /// The indexes of those of the streams that are there.
    static func existing(_ names: [String], _ connection: Connection) throws -> [Int] {
        let rows = try connection.query(
            """
            SELECT k.n FROM unnest($1::text[]) WITH ORDINALITY AS k(stream, n)
             WHERE (SELECT true FROM ledger.events WHERE stream = k.stream LIMIT 1)
            """, [streams(names)])
        return (0..<rows.count).map { Int(rows.int64($0, 0)) - 1 }
    }

    static func keptAnswers(_ keys: [String]) -> Statement {
        Statement(
            "SELECT key, request, answer FROM ledger.idempotency WHERE key = ANY($1::text[])",
            [.array(BinaryArray(texts: keys))])
    }

    static func keptAnswers(_ rows: Rows) throws -> [String: KeptAnswer] {
        var kept: [String: KeptAnswer] = [:]
        for row in 0..<rows.count {
            guard let request = Digest(rows.bytes(row, 1)) else {
                throw CorruptLogError(description: "ledger.idempotency holds a malformed digest")
            }
            kept[rows.text(row, 0)] = KeptAnswer(request: request, answer: rows.bytes(row, 2))
        }
        return kept
    }
}
