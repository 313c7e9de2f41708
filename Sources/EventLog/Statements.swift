import Domain
import JSON
import Postgres

/// The columns of a batch's events, as array parameters of one INSERT.
struct EventRows: Sendable {
    private(set) var count = 0
    private var ids = BinaryArray(.uuid)
    private var streams = BinaryArray(.text)
    private var versions = BinaryArray(.int64)
    private var types = BinaryArray(.text)
    private var actors = BinaryArray(.text)
    private var data = BinaryArray(.json)
    private var correlations = BinaryArray(.text)

    mutating func append(_ event: RecordedEvent, actor: String, correlation: String?) {
        count += 1
        ids.append(bytes: event.id.bytes)
        streams.append(text: event.stream)
        versions.append(event.version)
        types.append(text: event.type)
        actors.append(text: actor)
        data.append(bytes: event.data)
        if let correlation {
            correlations.append(text: correlation)
        } else {
            correlations.appendNull()
        }
    }

    func insert(after position: Int64, at recordedAt: Timestamp) -> Statement {
        Statement(
            """
            INSERT INTO ledger.events
                (position, id, stream, version, type, recorded_at, actor, data, correlation)
            SELECT $1 + n, id, stream, version, type, $2, actor, data, correlation
              FROM unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::json[],
                          $9::text[])
                   WITH ORDINALITY AS e(id, stream, version, type, actor, data, correlation, n)
            """,
            [
                .int64(position), .timestamp(microseconds: recordedAt.microseconds),
                .array(ids), .array(streams), .array(versions), .array(types), .array(actors),
                .array(data), .array(correlations),
            ])
    }
}

/// The answers a batch keeps.
struct IdempotencyRows: Sendable {
    private(set) var count = 0
    private var keys = BinaryArray(.text)
    private var requests = BinaryArray(.bytes)
    private var answers = BinaryArray(.bytes)

    mutating func append(_ key: String, _ kept: KeptAnswer) {
        count += 1
        keys.append(text: key)
        requests.append(bytes: kept.request.bytes)
        answers.append(bytes: kept.answer)
    }

    func insert(at recordedAt: Timestamp) -> Statement {
        Statement(
            """
            INSERT INTO ledger.idempotency (key, request, answer, recorded_at)
            SELECT key, request, answer, $1
              FROM unnest($2::text[], $3::bytea[], $4::bytea[]) AS k(key, request, answer)
            """,
            [
                .timestamp(microseconds: recordedAt.microseconds), .array(keys),
                .array(requests), .array(answers),
            ])
    }
}

extension Batch {
    /// The transaction that records the batch.
    var statements: [Statement] {
        var statements = [
            Statement("BEGIN"),
            Statement(
                "SELECT ledger.advance_head($1, $2, $3, $4, $5)",
                [
                    .int64(start.position), .int64(start.epoch), .int64(head.position),
                    .bytes(head.frontier.bytes),
                    .timestamp(microseconds: head.recordedAt.microseconds),
                ]),
            rows.insert(after: start.position, at: now),
        ]
        if idempotencyRows.count > 0 { statements.append(idempotencyRows.insert(at: now)) }
        statements.append(Statement("SELECT pg_notify('ledger', $1)", [.text("\(head.position)")]))
        statements.append(Statement("COMMIT"))
        return statements
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
