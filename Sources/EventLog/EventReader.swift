import Domain
import Postgres

/// Which events to read; all conditions hold together.
package struct EventFilter: Sendable, Equatable {
    package var stream: String?
    package var types: [String] = []
    /// The experiment's own events, and those of its units.
    package var experiment: ExperimentKey?

    package init(stream: String? = nil) { self.stream = stream }

    /// Whether every event matches.
    package var isEmpty: Bool { self == EventFilter() }
}

/// A stretch of the log, and how far it was read.
package struct EventPage: Sendable {
    package var events: [StoredEvent]
    /// The position from which to read on.
    package var readThrough: Int64
}

/// Reads the log, over a few connections of its own.
package struct EventReader: Sendable {
    package let pool: ConnectionPool

    /// Positions looked at in one query where a filter may skip most of them.
    private static let window: Int64 = 50_000

    package init(pool: ConnectionPool) { self.pool = pool }

    /// The events after a position, in order, at most `limit`, looking no further than `through`.
    package func events(
        after: Int64, through: Int64, limit: Int, matching filter: EventFilter = EventFilter()
    ) async throws -> EventPage {
        if let stream = filter.stream {
            return try await streamEvents(stream, after, through, limit, filter)
        }
        let end = filter.isEmpty ? through : min(through, after + Self.window)
        var sql = """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE position > $1 AND position <= $2
            """
        var parameters: [Parameter] = [.int64(after), .int64(end)]
        append(filter, to: &sql, &parameters)
        sql += " ORDER BY position LIMIT \(limit)"
        let events = try await read(sql, parameters)
        let last = events.count == limit ? events.last?.position : nil
        return EventPage(events: events, readThrough: last ?? end)
    }

    private func streamEvents(
        _ stream: String, _ after: Int64, _ through: Int64, _ limit: Int, _ filter: EventFilter
    ) async throws -> EventPage {
        var sql = """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE stream = $3 AND position > $1 AND position <= $2
            """
        var parameters: [Parameter] = [.int64(after), .int64(through), .text(stream)]
        append(filter, to: &sql, &parameters)
        sql += " ORDER BY version LIMIT \(limit)"
        let events = try await read(sql, parameters)
        let last = events.count == limit ? events.last?.position : nil
        return EventPage(events: events, readThrough: last ?? through)
    }

    private func append(
        _ filter: EventFilter, to sql: inout String, _ parameters: inout [Parameter]
    ) {
        if !filter.types.isEmpty {
            parameters.append(.array(BinaryArray(texts: filter.types)))
            sql += " AND type = ANY($\(parameters.count)::text[])"
        }
        if let experiment = filter.experiment {
            parameters.append(.text(experiment.stream))
            sql += " AND (stream = $\(parameters.count)"
            for prefix in experiment.unitPrefixes {
                parameters.append(.text(prefix))
                sql += " OR starts_with(stream, $\(parameters.count))"
            }
            sql += ")"
        }
    }

    private func read(_ sql: String, _ parameters: [Parameter]) async throws -> [StoredEvent] {
        try await pool.run { connection in
            try Self.events(connection.query(sql, parameters))
        }
    }

    package static func events(_ rows: Rows) throws -> [StoredEvent] {
        try (0..<rows.count).map { row in
            guard let id = EventID(bytes: rows.uuid(row, 1)) else {
                throw CorruptLogError(description: "an event's id is malformed")
            }
            return StoredEvent(
                position: rows.int64(row, 0), id: id, stream: rows.text(row, 2),
                version: rows.int64(row, 3), type: rows.text(row, 4),
                recordedAt: Timestamp(microseconds: rows.timestamp(row, 5)),
                actor: rows.text(row, 6), data: rows.bytes(row, 7),
                correlation: rows.isNull(row, 8) ? nil : rows.text(row, 8))
        }
    }

    // MARK: Time

    /// The last position recorded at or before a moment.
    package func position(at time: Timestamp) async throws -> Int64 {
        try await pool.run { connection in
            try connection.query(
                "SELECT ledger.position_at($1)", [.timestamp(microseconds: time.microseconds)]
            ).int64(0, 0)
        }
    }

    /// The state as it was at a position, folded anew from the log.
    package func state(at position: Int64) async throws -> State {
        try await pool.run { try Self.state(through: position, $0) }
    }

    /// Folds the streams that make up the state, which are few among all events.
    package static func state(
        through position: Int64, _ connection: Connection
    ) throws -> State {
        var events: [StoredEvent] = []
        for prefix in StreamName.statePrefixes {
            let end = String(prefix.dropLast()) + "0"  // '0' follows '/'
            events += try self.events(
                connection.query(
                    """
                    SELECT \(LogScan.eventColumns) FROM ledger.events
                     WHERE stream >= $1 AND stream < $2 AND position <= $3
                    """, [.text(prefix), .text(end), .int64(position)]))
        }
        events.sort { $0.position < $1.position }
        var state = State()
        for event in events { state.evolve(try event.decoded(), at: event.context) }
        return state
    }

    // MARK: Units

    /// The variants of these units, as far as they had them at a position.
    package func placements(
        _ keys: [UnitKey], through position: Int64 = .max
    ) async throws -> [UnitKey: Placement] {
        // What can't be a unit has no variant, and may be no text to PostgreSQL.
        let keys = keys.filter(\.isValid)
        let found = try await pool.run { try LookUp.placements(keys, $0) }
        return found.filter { $0.value.position <= position }
    }

    /// The events that gave an experiment's units their variants, in the order of their streams,
    /// after a stream.
    package func placements(
        of experiment: ExperimentKey, after stream: String?, through position: Int64, limit: Int
    ) async throws -> [StoredEvent] {
        let prefix = experiment.placementPrefix
        return try await read(
            """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE stream > $1 AND stream < $2 AND version = 1 AND position <= $3
             ORDER BY stream LIMIT \(limit)
            """,
            [
                .text(stream ?? prefix), .text(String(prefix.dropLast()) + "0"), .int64(position),
            ])
    }

    /// Everything that a run selected up to a position, in the order of the log.
    package func selections(of run: String, through position: Int64) async throws -> [StoredEvent] {
        guard isValidSubject(run) else { return [] }
        return try await read(
            """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE split_part(stream, '/', 4) = $1 AND version = 1 AND type = 'VariantSelected'
               AND position <= $2
             ORDER BY position LIMIT \(Limits.batchLengthMax)
            """, [.text(StreamName.encodedPart(run)), .int64(position)])
    }

    /// The last change of each key of a rollout table up to a position, in the order of the
    /// streams, after a stream.
    package func rollout(
        of step: StepKey, after stream: String?, through position: Int64, limit: Int
    ) async throws -> [StoredEvent] {
        let prefix = StreamName.rollouts(of: step)
        return try await read(
            """
            SELECT DISTINCT ON (stream) \(LogScan.eventColumns) FROM ledger.events
             WHERE stream > $1 AND stream < $2 AND position <= $3
             ORDER BY stream, version DESC LIMIT \(limit)
            """,
            [
                .text(stream ?? prefix), .text(String(prefix.dropLast()) + "0"), .int64(position),
            ])
    }

    /// The position of the event with an ID, where it is the ledger's own ID, or one that a client
    /// gave an event.
    package func position(of id: EventID) async throws -> Int64? {
        try await pool.run { connection in
            let kept = try connection.query(
                "SELECT answer FROM ledger.idempotency WHERE key = $1",
                [.text(Submission.key(of: id))])
            if kept.count > 0 {
                return RecordedEvent(place: kept.bytes(0, 0), type: "")?.position
            }
            // The ledger's IDs begin with the millisecond in which the event was recorded.
            let millisecond = Int64(id.high >> 16)
            let rows = try connection.query(
                """
                SELECT position FROM ledger.events
                 WHERE position > ledger.position_at($1) AND position <= ledger.position_at($2)
                   AND id = $3
                """,
                [
                    .timestamp(microseconds: millisecond * 1_000 - 1),
                    .timestamp(microseconds: millisecond * 1_000 + 999), .uuid(id.bytes),
                ])
            return rows.count > 0 ? rows.int64(0, 0) : nil
        }
    }

    /// Whether the database answers.
    package func ping() async throws {
        try await pool.run { connection in _ = try connection.query("SELECT 1") }
    }
}

extension ExperimentKey {
    /// The stream of the experiment itself.
    package var stream: String {
        switch self {
        case .managed(let id): StreamName.experiment(id)
        case .step(let step): StreamName.step(step)
        }
    }

    /// The prefix of the streams of units that have their variant.
    fileprivate var placementPrefix: String {
        switch self {
        case .managed(let id): StreamName.assignments(of: id)
        case .step(let step): StreamName.selections(of: step)
        }
    }

    /// Prefixes of all other streams of the experiment.
    fileprivate var unitPrefixes: [String] {
        let prefixes = [placementPrefix, StreamName.unattributed(of: self)]
        guard case .step(let step) = self else { return prefixes }
        return prefixes + [StreamName.rollouts(of: step)]
    }
}
