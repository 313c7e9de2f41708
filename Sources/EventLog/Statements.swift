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
            "BEGIN; \(advanceHead) \(EventRows.copy); \(keepAnswers) \(notify) COMMIT",
            copying: [events.rows] + answerRows)
    }

    /// Records the rest of a batch whose events were sent while it was decided.
    func finish(on connection: Connection) throws(PostgresError) {
        try connection.execute(
            "\(advanceHead) \(keepAnswers) \(notify) COMMIT", copying: answerRows)
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

    private var keepAnswers: String { answerRows.isEmpty ? "" : "\(IdempotencyRows.copy);" }

    private var answerRows: [CopyRows] {
        answersKept.rows.count > 0 ? [answersKept.rows] : []
    }

    private var notify: String { "NOTIFY ledger, '\(head.position)';" }
}

extension Batch {
    /// Whether the answers this batch keeps are in the database.
    func keptAnswers(in connection: Connection) throws -> Bool {
        guard let firstKeptKey else { return false }
        let rows = try connection.query(
            "SELECT 1 FROM ledger.idempotency WHERE key = $1", [.text(firstKeptKey)])
        return rows.count > 0
    }
}

/// Look-ups of what a batch needs to know.
enum LookUp {
    /// The first assignments of these subjects, by the log's own index on streams.
    ///
    /// The LIMIT keeps PostgreSQL from joining the whole log instead, which is what it would plan,
    /// once and for long, while the log is small.
    static func assignments(_ keys: [AssignmentKey]) -> Statement {
        var streams = BinaryArray(.text, capacity: keys.count)
        for key in keys { streams.append(text: StreamName.assignment(key.experiment, key.subject)) }
        return Statement(
            """
            SELECT k.n, e.position, e.data
              FROM unnest($1::text[]) WITH ORDINALITY AS k(stream, n),
                   LATERAL (SELECT position, data FROM ledger.events
                             WHERE stream = k.stream AND version = 1 LIMIT 1) AS e
            """, [.array(streams)])
    }

    static func assignments(
        _ rows: Rows, of keys: [AssignmentKey]
    ) throws -> [AssignmentKey: Assignment] {
        var found: [AssignmentKey: Assignment] = [:]
        for row in 0..<rows.count {
            let data = try JSONValue.parse(rows.bytes(row, 2))
            guard
                case .assignmentMade(let made) = try LedgerEvent(type: "AssignmentMade", data: data)
            else { continue }
            found[keys[Int(rows.int64(row, 0)) - 1]] = Assignment(
                variant: made.variant, cohort: made.cohort, u: made.u,
                position: rows.int64(row, 1))
        }
        return found
    }

    static func keptAnswers(_ keys: [String]) -> Statement {
        var array = BinaryArray(.text, capacity: keys.count)
        for key in keys { array.append(text: key) }
        return Statement(
            "SELECT key, request, answer FROM ledger.idempotency WHERE key = ANY($1::text[])",
            [.array(array)])
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
