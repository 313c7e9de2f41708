import Domain
import EventLog
import Postgres

/// Which figures are asked for.
package struct ResultsQuery: Sendable {
    package var experiment: ExperimentKey
    /// The score's name; nil for all.
    package var name: String?
    /// Scores that occurred at this time or later.
    package var from: Timestamp?
    /// Scores that occurred before this time.
    package var to: Timestamp?
    /// The only cohort, or definition, that counts.
    package var cohort: Int?
    /// The position as of which the figures are; nil for as late as the projections are.
    package var asOf: Int64?
    package var aggregation = ScoreAggregation.latest

    package init(experiment: ExperimentKey) { self.experiment = experiment }
}

/// Units of one variant in one cohort, or definition.
package struct ArmKey: Sendable, Hashable {
    package let cohort: Int
    package let variant: String

    package static func == (left: Self, right: Self) -> Bool {
        left.cohort == right.cohort && left.variant.isExactly(right.variant)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(cohort)
        hasher.combine(exactly: variant)
    }
}

/// The scores of one name in one arm.
package struct ArmFigures: Sendable {
    package var scores: Int64 = 0
    /// Of the scores, how many are booleans.
    package var booleans: Int64 = 0
    /// A number for each unit that has scores.
    package var units = UnitNumbers()

    mutating func merge(_ other: ArmFigures) {
        scores += other.scores
        booleans += other.booleans
        units.merge(other.units)
    }
}

/// What the projections know of an experiment.
package struct ResultsFigures: Sendable {
    /// The position that the figures rest on.
    package var position: Int64 = 0
    /// When the first event that the figures lack was recorded; nil where they lack none.
    package var staleSince: Timestamp?
    /// The end of the log.
    package var head: Int64 = 0
    package var assigned: [ArmKey: Int64] = [:]
    /// By the names of the scores.
    package var scores: [ExactText: [ArmKey: ArmFigures]] = [:]
    package var unattributed: [ExactText: Int64] = [:]
    /// Of a step experiment, the definitions it has had.
    package var definitions: [(number: Int, definition: StepDefinition, createdAt: Timestamp)] = []
}

/// Reads what results are computed from.
package struct ResultsReader: Sendable {
    package let pool: ConnectionPool
    /// Up to so many scores are read one by one, and every figure is exact.
    private let exactScoresMax: Int64

    package init(pool: ConnectionPool, exactScoresMax: Int64 = 5_000) {
        self.pool = pool
        self.exactScoresMax = exactScoresMax
    }

    /// How far the projections are; nil before they are built.
    package func position() async throws -> Int64? {
        try await pool.run { connection in
            try ProjectionSchema.checkpoint(of: ProjectionSchema.live, connection)?.position
        }
    }

    /// Reads the figures in one snapshot; nil before the projections are built.
    package func figures(_ query: ResultsQuery) async throws -> ResultsFigures? {
        try await pool.run { connection in
            try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            do {
                let figures = try Reading(
                    query: query, connection: connection, exactScoresMax: exactScoresMax
                ).figures()
                try connection.execute("COMMIT")
                return figures
            } catch {
                if !connection.isBroken { try connection.execute("ROLLBACK") }
                throw error
            }
        }
    }

    /// One look at the projections.
    private struct Reading {
        let query: ResultsQuery
        let connection: Connection
        let exactScoresMax: Int64

        /// As the tables name the experiment.
        private var function: String {
            if case .step(let step) = query.experiment { step.function } else { "" }
        }

        private var experiment: String {
            switch query.experiment {
            case .managed(let id): id.text
            case .step(let step): step.name
            }
        }

        private var key: [Parameter] { [.text(function), .text(experiment)] }

        /// The score's name, or NULL for all.
        private var named: Parameter { query.name.map { .text($0) } ?? .null }

        private func time(_ time: Timestamp?) -> Parameter {
            time.map { .timestamp(microseconds: $0.microseconds) } ?? .null
        }

        func figures() throws -> ResultsFigures? {
            guard
                let checkpoint = try ProjectionSchema.checkpoint(
                    of: ProjectionSchema.live, connection)
            else { return nil }
            var figures = ResultsFigures()
            figures.position = min(checkpoint.position, query.asOf ?? .max)
            let head = try Head.read(connection)
            figures.head = min(head.position, query.asOf ?? .max)
            if figures.head > figures.position {
                let rows = try connection.query(
                    "SELECT recorded_at FROM ledger.events WHERE position = $1",
                    [.int64(figures.position + 1)])
                figures.staleSince =
                    rows.count > 0 ? Timestamp(microseconds: rows.timestamp(0, 0)) : nil
            }
            // Where nothing was recorded since, an earlier position is no other.
            let isPast = figures.position < checkpoint.position
            figures.assigned = try assigned(through: isPast ? figures.position : nil)
            let isWhole = !isPast && query.from == nil && query.to == nil
            if isWhole, try scoreCount() > exactScoresMax {
                figures.scores = try arms()
            } else {
                figures.scores = try units(through: figures.position)
            }
            figures.unattributed = try unattributed(
                through: isWhole ? nil : figures.position)
            if case .step = query.experiment { figures.definitions = try definitions() }
            return figures
        }

        private func isWanted(_ cohort: Int) -> Bool { query.cohort.map { $0 == cohort } ?? true }

        // MARK: Units with a variant

        private func assigned(through position: Int64?) throws -> [ArmKey: Int64] {
            let rows: Rows
            switch (query.experiment, position) {
            case (.managed(let id), nil):
                rows = try connection.query(
                    """
                    SELECT cohort_index, variant_id, sum(subjects)::bigint
                      FROM projection.assignment_counts WHERE experiment_id = $1 GROUP BY 1, 2
                    """, [.text(id.text)])
            case (.managed(let id), let position?):
                rows = try connection.query(
                    """
                    SELECT cohort_index, variant_id, count(*)
                      FROM projection.assignments
                     WHERE experiment_id = $1 AND position <= $2 GROUP BY 1, 2
                    """, [.text(id.text), .int64(position)])
            case (.step, nil):
                rows = try connection.query(
                    """
                    SELECT definition, variant, sum(runs)::bigint
                      FROM projection.selection_counts
                     WHERE function_id = $1 AND experiment_name = $2 GROUP BY 1, 2
                    """, key)
            case (.step, let position?):
                rows = try connection.query(
                    """
                    SELECT definition, variant, count(*)
                      FROM projection.selections
                     WHERE function_id = $1 AND experiment_name = $2 AND position <= $3
                     GROUP BY 1, 2
                    """, key + [.int64(position)])
            }
            var assigned: [ArmKey: Int64] = [:]
            for row in 0..<rows.count where isWanted(Int(rows.int32(row, 0))) {
                let arm = ArmKey(cohort: Int(rows.int32(row, 0)), variant: rows.text(row, 1))
                assigned[arm] = rows.int64(row, 2)
            }
            return assigned
        }

        private func definitions() throws -> [(Int, StepDefinition, Timestamp)] {
            let rows = try connection.query(
                """
                SELECT definition, strategy, variants, weights, hash_version, fixed_variant,
                       created_at
                  FROM projection.step_definitions
                 WHERE function_id = $1 AND experiment_name = $2 ORDER BY definition
                """, key)
            return try (0..<rows.count).compactMap { row in
                let number = Int(rows.int32(row, 0))
                guard isWanted(number) else { return nil }
                let definition = try StepDefinition(
                    strategy: rows.text(row, 1), variants: rows.bytes(row, 2),
                    weights: rows.bytes(row, 3), hashVersion: Int(rows.int32(row, 4)),
                    fixed: rows.isNull(row, 5) ? nil : rows.text(row, 5))
                return (number, definition, Timestamp(microseconds: rows.timestamp(row, 6)))
            }
        }

        // MARK: Scores, summed up

        private func scoreCount() throws -> Int64 {
            try connection.query(
                """
                SELECT coalesce(sum(scores), 0)::bigint FROM projection.score_arms
                 WHERE function_id = $1 AND experiment = $2 AND ($3::text IS NULL OR name = $3)
                """, key + [named]
            ).int64(0, 0)
        }

        private func arms() throws -> [ExactText: [ArmKey: ArmFigures]] {
            let rows = try connection.query(
                """
                SELECT name, cohort, variant, units, scores, booleans, single, multiple
                  FROM projection.score_arms
                 WHERE function_id = $1 AND experiment = $2 AND ($3::text IS NULL OR name = $3)
                """, key + [named])
            var scores: [ExactText: [ArmKey: ArmFigures]] = [:]
            for row in 0..<rows.count where isWanted(Int(rows.int32(row, 1))) {
                guard
                    let arm = ScoreArm(
                        units: rows.int64(row, 3), scores: rows.int64(row, 4),
                        booleans: rows.int64(row, 5), single: rows.bytes(row, 6),
                        multiple: rows.bytes(row, 7))
                else { throw MalformedArmError() }
                let key = ArmKey(cohort: Int(rows.int32(row, 1)), variant: rows.text(row, 2))
                scores[ExactText(rows.text(row, 0)), default: [:]][key] = ArmFigures(
                    scores: arm.scores, booleans: arm.booleans,
                    units: UnitNumbers(arm.distribution(query.aggregation)))
            }
            return scores
        }

        private func unattributed(through position: Int64?) throws -> [ExactText: Int64] {
            let condition = " AND ($3::text IS NULL OR name = $3)"
            let rows =
                if let position {
                    try connection.query(
                        """
                        SELECT name, count(*) FROM projection.scores
                         WHERE function_id = $1 AND experiment = $2 \(condition) AND position <= $4
                           AND variant IS NULL AND (retracted IS NULL OR retracted > $4)
                           AND ($5::timestamptz IS NULL OR occurred_at >= $5)
                           AND ($6::timestamptz IS NULL OR occurred_at < $6)
                         GROUP BY name
                        """,
                        key + [named, .int64(position), time(query.from), time(query.to)])
                } else {
                    try connection.query(
                        """
                        SELECT name, scores FROM projection.unattributed_scores
                         WHERE function_id = $1 AND experiment = $2 \(condition)
                        """, key + [named])
                }
            var counts: [ExactText: Int64] = [:]
            for row in 0..<rows.count { counts[ExactText(rows.text(row, 0))] = rows.int64(row, 1) }
            return counts
        }

        // MARK: Scores, one by one

        /// The expression that makes one number of a unit's scores.
        private var aggregate: String {
            switch query.aggregation {
            case .latest: "(array_agg(v ORDER BY occurred_at DESC, position DESC))[1]"
            case .sum: "sum(v ORDER BY position)"
            case .count: "count(*)::float8"
            case .mean: "sum(v ORDER BY position) / count(*)"
            case .min: "min(v)"
            case .max: "max(v)"
            }
        }

        private func units(through position: Int64) throws -> [ExactText: [ArmKey: ArmFigures]] {
            var scores: [ExactText: [ArmKey: ArmFigures]] = [:]
            let text = { (value: String) in "'" + value.replacing("'", with: "''") + "'" }
            var conditions = """
                function_id = \(text(function)) AND experiment = \(text(experiment))
                AND position <= \(position) AND variant IS NOT NULL
                AND (retracted IS NULL OR retracted > \(position))
                """
            if let name = query.name { conditions += " AND name = \(text(name))" }
            if let cohort = query.cohort { conditions += " AND cohort = \(cohort)" }
            if let from = query.from { conditions += " AND occurred_at >= '\(from)'" }
            if let to = query.to { conditions += " AND occurred_at < '\(to)'" }
            // COPY takes no parameters; with standard_conforming_strings, quotes are all there is
            // to escape.
            try connection.execute("SET LOCAL standard_conforming_strings = on")
            try connection.copyOut(
                """
                COPY (
                    SELECT name, min(variant), min(cohort), count(*),
                           count(*) FILTER (WHERE is_boolean), \(aggregate)
                      FROM (SELECT *, \(ScoreWriter.value) AS v FROM projection.scores
                             WHERE \(conditions)) AS s
                     GROUP BY name, unit_id
                ) TO STDOUT (FORMAT binary)
                """
            ) { message in
                var fields = CopyFields(message)
                let name = ExactText(fields.text())
                let variant = fields.text()
                let arm = ArmKey(cohort: Int(fields.int32()), variant: variant)
                var figures = ArmFigures()
                (figures.scores, figures.booleans) = (fields.int64(), fields.int64())
                let number = fields.double()
                scores[name, default: [:]][arm, default: ArmFigures()].add(figures, number)
            }
            return scores
        }
    }
}

extension ArmFigures {
    fileprivate mutating func add(_ unit: ArmFigures, _ number: Double) {
        scores += unit.scores
        booleans += unit.booleans
        units.add(number)
    }
}
