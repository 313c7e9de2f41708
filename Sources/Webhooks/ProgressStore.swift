import Domain
import EventLog
import Postgres

/// Where an endpoint's lane stands, as it is kept in the database.
struct LaneProgress: Sendable {
    let webhook: String
    /// 0 for the deliveries themselves, else the number of a replay.
    let lane: Int
    /// Of the endpoint: the position of the event that created it.
    let createdPosition: Int64
    var done: PositionRanges
    var failures = 0
    var failingSince: Timestamp?
    var retryAt: Timestamp?
}

/// An event that an endpoint did not take.
package struct SetAside: Sendable, Equatable {
    package let webhook: String
    package let position: Int64
    package var attempts: Int
    /// Nil where nothing came back, or nothing was sent.
    package var status: Int?
    package var reason: String
    /// The beginning of what came back.
    package var answer: String
    package var failedAt: Timestamp
    /// When its redelivery was asked for.
    package var requestedAt: Timestamp?
}

/// Another node leads: what this one knows of deliveries is no longer true.
struct FencedError: Error, CustomStringConvertible {
    let description = "another node has taken over the webhooks' deliveries"
}

/// The rows in which deliveries are remembered.
package struct ProgressStore: Sendable {
    let pool: ConnectionPool

    package init(pool: ConnectionPool) { self.pool = pool }

    /// Ranges above the position that are kept; what is in the others may be sent again.
    private static let rangesMax = 4_096

    /// What changed since the last time, for all endpoints together.
    struct Changes: Sendable {
        var progress: [LaneProgress] = []
        var setAside: [SetAside] = []
        /// Events that were set aside and have been delivered since.
        var redelivered: [(webhook: String, position: Int64)] = []
        /// Endpoints and replays that are no more.
        var forgotten: [(webhook: String, lane: Int?)] = []

        var isEmpty: Bool {
            progress.isEmpty && setAside.isEmpty && redelivered.isEmpty && forgotten.isEmpty
        }
    }

    /// Writes changes in one transaction, if this node still leads under `epoch`.
    func write(_ changes: Changes, epoch: Int64) async throws {
        try await pool.run(readOnly: false) { connection in
            var statements = [Statement("BEGIN"), Self.fence(epoch)]
            // First, as what is written may be of another endpoint of the same name.
            statements += changes.forgotten.flatMap(Self.forget)
            if !changes.setAside.isEmpty { statements.append(Self.setAside(changes.setAside)) }
            if !changes.redelivered.isEmpty {
                statements.append(Self.redelivered(changes.redelivered))
            }
            if !changes.progress.isEmpty { statements.append(Self.progress(changes.progress)) }
            let results = try connection.pipeline(statements)
            guard results[1].count == 1 else {
                try connection.execute("ROLLBACK")
                throw FencedError()
            }
            try connection.execute("COMMIT")
        }
    }

    private static func fence(_ epoch: Int64) -> Statement {
        Statement("SELECT 1 FROM ledger.head WHERE epoch = $1", [.int64(epoch)])
    }

    /// All endpoints in one statement.
    private static func progress(_ rows: [LaneProgress]) -> Statement {
        var webhooks = BinaryArray(.text, capacity: rows.count)
        var lanes = BinaryArray(.int32, capacity: rows.count)
        var created = BinaryArray(.int64, capacity: rows.count)
        var positions = BinaryArray(.int64, capacity: rows.count)
        var settled = BinaryArray(.text, capacity: rows.count)
        var failures = BinaryArray(.int32, capacity: rows.count)
        var since = BinaryArray(.timestamp, capacity: rows.count)
        var retries = BinaryArray(.timestamp, capacity: rows.count)
        for row in rows {
            webhooks.append(text: row.webhook)
            lanes.append(Int32(row.lane))
            created.append(row.createdPosition)
            positions.append(row.done.through)
            settled.append(text: row.done.text(rangesMax: rangesMax))
            failures.append(Int32(clamping: row.failures))
            since.append(timestampOrNull: row.failingSince)
            retries.append(timestampOrNull: row.retryAt)
        }
        return Statement(
            """
            INSERT INTO ledger.webhook_progress
            SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::text[],
                                 $6::int[], $7::timestamptz[], $8::timestamptz[])
            ON CONFLICT (webhook, lane) DO UPDATE
               SET created_at = excluded.created_at, position = excluded.position,
                   settled = excluded.settled, failures = excluded.failures,
                   failing_since = excluded.failing_since, retry_at = excluded.retry_at
            """,
            [
                .array(webhooks), .array(lanes), .array(created), .array(positions),
                .array(settled), .array(failures), .array(since), .array(retries),
            ])
    }

    private static func setAside(_ all: [SetAside]) -> Statement {
        let rows = lastOfEach(all)
        var positions = BinaryArray(.int64, capacity: rows.count)
        var attempts = BinaryArray(.int32, capacity: rows.count)
        var statuses = BinaryArray(.int32, capacity: rows.count)
        var times = BinaryArray(.timestamp, capacity: rows.count)
        for row in rows {
            positions.append(row.position)
            attempts.append(Int32(clamping: row.attempts))
            if let status = row.status {
                statuses.append(Int32(status))
            } else {
                statuses.appendNull()
            }
            times.append(timestamp: row.failedAt.microseconds)
        }
        return Statement(
            """
            INSERT INTO ledger.webhook_failures
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::int[], $4::int[], $5::text[],
                                 $6::text[], $7::timestamptz[])
            ON CONFLICT (webhook, position) DO UPDATE
               SET attempts = webhook_failures.attempts + excluded.attempts,
                   status = excluded.status, reason = excluded.reason, answer = excluded.answer,
                   failed_at = excluded.failed_at, requested_at = NULL
            """,
            [
                .array(BinaryArray(texts: rows.map(\.webhook))), .array(positions),
                .array(attempts), .array(statuses), .array(BinaryArray(texts: rows.map(\.reason))),
                .array(BinaryArray(texts: rows.map(\.answer))), .array(times),
            ])
    }

    /// A replay may meet the same event as the deliveries; a statement takes a row only once.
    private static func lastOfEach(_ all: [SetAside]) -> [SetAside] {
        var rows: [SetAside] = []
        var indices: [EventOfWebhook: Int] = [:]
        for var row in all {
            let key = EventOfWebhook(webhook: row.webhook, position: row.position)
            if let index = indices[key] {
                row.attempts += rows[index].attempts
                rows[index] = row
            } else {
                indices[key] = rows.count
                rows.append(row)
            }
        }
        return rows
    }

    private struct EventOfWebhook: Hashable {
        let webhook: String
        let position: Int64
    }

    private static func redelivered(_ rows: [(webhook: String, position: Int64)]) -> Statement {
        let positions = BinaryArray(int64s: rows.map(\.position))
        return Statement(
            """
            DELETE FROM ledger.webhook_failures f
             USING unnest($1::text[], $2::bigint[]) AS d (webhook, position)
             WHERE f.webhook = d.webhook AND f.position = d.position
            """,
            [.array(BinaryArray(texts: rows.map(\.webhook))), .array(positions)])
    }

    private static func forget(_ webhook: String, lane: Int?) -> [Statement] {
        if let lane {
            return [
                Statement(
                    "DELETE FROM ledger.webhook_progress WHERE webhook = $1 AND lane = $2",
                    [.text(webhook), .int32(Int32(lane))])
            ]
        }
        return ["webhook_progress", "webhook_failures"].map { table in
            Statement("DELETE FROM ledger.\(table) WHERE webhook = $1", [.text(webhook)])
        }
    }

    // MARK: Reading

    func progress() async throws -> [LaneProgress] {
        try await pool.run { connection in
            let rows = try connection.query(
                """
                SELECT webhook, lane, created_at, position, settled, failures, failing_since,
                       retry_at
                  FROM ledger.webhook_progress
                """)
            return (0..<rows.count).map { row in
                let position = rows.int64(row, 3)
                return LaneProgress(
                    webhook: rows.text(row, 0), lane: Int(rows.int32(row, 1)),
                    createdPosition: rows.int64(row, 2),
                    // A text that can't be read is one of which nothing is known to be settled.
                    done: PositionRanges(through: position, text: rows.text(row, 4))
                        ?? PositionRanges(through: position),
                    failures: Int(rows.int32(row, 5)),
                    failingSince: rows.timestampOrNil(row, 6),
                    retryAt: rows.timestampOrNil(row, 7))
            }
        }
    }

    /// Events that an endpoint did not take, in the order of the log, after a position.
    package func failures(
        of webhook: String, after: Int64 = 0, limit: Int
    ) async throws -> [SetAside] {
        try await failures(
            "webhook = $1 AND position > $2", [.text(webhook), .int64(after)], limit)
    }

    package func failure(of webhook: String, at position: Int64) async throws -> SetAside? {
        try await failures("webhook = $1 AND position = $2", [.text(webhook), .int64(position)], 1)
            .first
    }

    /// The first of those after a position whose redelivery was asked for.
    func requested(
        of webhook: String, after: Int64 = 0, limit: Int
    ) async throws -> [SetAside] {
        try await failures(
            "webhook = $1 AND position > $2 AND requested_at IS NOT NULL",
            [.text(webhook), .int64(after)], limit)
    }

    private func failures(
        _ condition: String, _ parameters: [Parameter], _ limit: Int
    ) async throws -> [SetAside] {
        try await pool.run { connection in
            let rows = try connection.query(
                """
                SELECT webhook, position, attempts, status, reason, answer, failed_at, requested_at
                  FROM ledger.webhook_failures
                 WHERE \(condition) ORDER BY webhook, position LIMIT \(limit)
                """, parameters)
            return (0..<rows.count).map { row in
                SetAside(
                    webhook: rows.text(row, 0), position: rows.int64(row, 1),
                    attempts: Int(rows.int32(row, 2)),
                    status: rows.isNull(row, 3) ? nil : Int(rows.int32(row, 3)),
                    reason: rows.text(row, 4), answer: rows.text(row, 5),
                    failedAt: Timestamp(microseconds: rows.timestamp(row, 6)),
                    requestedAt: rows.timestampOrNil(row, 7))
            }
        }
    }

    /// How many events each endpoint has not taken.
    package func failureCounts() async throws -> [String: Int] {
        try await pool.run { connection in
            let rows = try connection.query(
                "SELECT webhook, count(*) FROM ledger.webhook_failures GROUP BY webhook")
            return Dictionary(
                uniqueKeysWithValues: (0..<rows.count).map {
                    (rows.text($0, 0), Int(rows.int64($0, 1)))
                })
        }
    }

    /// Marks events to be delivered once more: those given, or all.
    ///
    /// - Returns: the positions that were marked, in order.
    package func request(
        _ positions: [Int64]?, of webhook: String, at time: Timestamp
    ) async throws -> [Int64] {
        try await pool.run(readOnly: false) { connection in
            var parameters: [Parameter] = [
                .text(webhook), .timestamp(microseconds: time.microseconds),
            ]
            var condition = ""
            if let positions {
                parameters.append(.array(BinaryArray(int64s: positions)))
                condition = "AND position = ANY ($3::bigint[])"
            }
            let rows = try connection.query(
                """
                UPDATE ledger.webhook_failures SET requested_at = $2
                 WHERE webhook = $1 \(condition) RETURNING position
                """, parameters)
            return (0..<rows.count).map { rows.int64($0, 0) }.sorted()
        }
    }
}

extension BinaryArray {
    fileprivate mutating func append(timestampOrNull time: Timestamp?) {
        if let time { append(timestamp: time.microseconds) } else { appendNull() }
    }
}

extension Rows {
    fileprivate func timestampOrNil(_ row: Int, _ column: Int) -> Timestamp? {
        isNull(row, column) ? nil : Timestamp(microseconds: timestamp(row, column))
    }
}
