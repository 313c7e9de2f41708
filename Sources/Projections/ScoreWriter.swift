import Domain
import EventLog
import Postgres

/// Brings what scores come to up to date with a fold's changes, inside the caller's transaction.
///
/// A unit's first score needs no look-up. For the others, what the unit's scores came to before is
/// read from its row or, where it had one score at most, from its stream in the log; the unit then
/// leaves its arm with the old numbers and enters it with the new ones.
struct ScoreWriter {
    let schema: String

    /// What a unit's scores of a name came to, and come to now.
    private struct Step {
        /// Among the changes' arms.
        let arm: Int
        var before = UnitScores()
        var after = UnitScores()
        var booleans: Int64 = 0
        /// Whether there may be a row to remove.
        var hadRow = false
    }

    func write(_ fold: ProjectionFold, _ connection: Connection) throws {
        let changes = fold.scoreChanges
        if !changes.retractions.isEmpty {
            _ = try connection.pipeline([markRetracted(changes.retractions)])
        }
        if !changes.unattributed.isEmpty {
            _ = try connection.pipeline(countUnattributed(changes.unattributed))
        }
        if changes.units.isEmpty { return }
        let steps = try steps(changes, fold, connection)
        try writeArms(changes.arms, steps.values, connection)
        let statements = replaceUnits(steps)
        if !statements.isEmpty { _ = try connection.pipeline(statements) }
    }

    // MARK: Units

    private func steps(
        _ changes: ScoreChanges, _ fold: ProjectionFold, _ connection: Connection
    ) throws -> [UnitSeries: Step] {
        var steps: [UnitSeries: Step] = [:]
        steps.reserveCapacity(changes.units.count)
        var known: [UnitSeries] = []
        for (unit, change) in changes.units {
            steps[unit] = Step(arm: change.arm, after: change.first, booleans: change.booleans)
            if !change.isFirst { known.append(unit) }
        }
        var unread = known
        if !known.isEmpty {
            let rows = try readRows(known, connection)
            unread = known.filter { rows[$0] == nil }
            let streams = try readStreams(unread, through: fold.start, connection)
            for unit in known {
                steps[unit]?.before = rows[unit] ?? streams[unit] ?? UnitScores()
                steps[unit]?.hadRow = rows[unit] != nil
            }
        }
        let reduced = changes.units.filter(\.value.hasRetraction).map(\.key)
        let streams = try readStreams(reduced, through: fold.position, connection)
        for (unit, change) in changes.units {
            guard var step = steps[unit] else { continue }
            if change.hasRetraction {
                step.after = streams[unit] ?? UnitScores()
            } else if !change.isFirst {
                step.after = step.before
                for score in change.recorded { step.after.add(score) }
            }
            steps[unit] = step
        }
        return steps
    }

    private func readRows(
        _ units: [UnitSeries], _ connection: Connection
    ) throws -> [UnitSeries: UnitScores] {
        let rows = try connection.query(
            """
            SELECT k.n, u.scores, u.total, u.least, u.greatest, u.latest, u.latest_at,
                   u.latest_position
              FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                   WITH ORDINALITY AS k(function_id, experiment, name, unit_id, n)
              JOIN \(schema).unit_scores u USING (function_id, experiment, name, unit_id)
            """, Self.keys(units))
        var found: [UnitSeries: UnitScores] = [:]
        for row in 0..<rows.count {
            found[units[Int(rows.int64(row, 0)) - 1]] = UnitScores(
                scores: rows.int64(row, 1), total: rows.double(row, 2), least: rows.double(row, 3),
                greatest: rows.double(row, 4), latest: rows.double(row, 5),
                latestAt: rows.timestamp(row, 6), latestPosition: rows.int64(row, 7))
        }
        return found
    }

    /// What units' scores came to at a position, read from their streams.
    private func readStreams(
        _ units: [UnitSeries], through position: Int64, _ connection: Connection
    ) throws -> [UnitSeries: UnitScores] {
        if units.isEmpty { return [:] }
        let streams = BinaryArray(texts: units.map { $0.key?.stream ?? "" })
        let rows = try connection.query(
            """
            SELECT k.n, e.position, e.type = 'ScoreRetracted', e.data
              FROM unnest($1::text[]) WITH ORDINALITY AS k(stream, n),
                   LATERAL (SELECT position, type, data FROM ledger.events
                             WHERE stream = k.stream AND version > 1 AND position <= $2
                             ORDER BY version) AS e
            """, [.array(streams), .int64(position)])
        var recorded: [UnitSeries: [ProjectedScore]] = [:]
        var retracted: Set<Int64> = []
        for row in 0..<rows.count {
            let fields = try rows.bytes(row, 3).withUnsafeBytes { try ScoreFields($0) }
            let unit = units[Int(rows.int64(row, 0)) - 1]
            // The unit's stream holds its scores of other names too.
            guard fields.name.isExactly(unit.series.name) else { continue }
            if rows.bool(row, 2) {
                if let score = fields.retracts { retracted.insert(score) }
            } else {
                recorded[unit, default: []].append(
                    ProjectedScore(
                        position: rows.int64(row, 1), occurredAt: fields.occurredAt,
                        value: fields.value))
            }
        }
        return recorded.mapValues { scores in
            var all = UnitScores()
            for score in scores.sorted(by: { $0.position < $1.position })
            where !retracted.contains(score.position) {
                all.add(score)
            }
            return all
        }
    }

    private static func keys(_ units: [UnitSeries]) -> [Parameter] {
        keys(units.map(\.series)) + [.array(BinaryArray(texts: units.map(\.unit)))]
    }

    private static func keys(_ series: [ScoreSeries]) -> [Parameter] {
        [
            .array(BinaryArray(texts: series.map(\.function))),
            .array(BinaryArray(texts: series.map(\.experiment))),
            .array(BinaryArray(texts: series.map(\.name))),
        ]
    }

    /// Units with more than one score have a row.
    private func replaceUnits(_ steps: [UnitSeries: Step]) -> [Statement] {
        var statements: [Statement] = []
        let gone = steps.filter { $0.value.hadRow && $0.value.after.scores < 2 }.map(\.key)
        if !gone.isEmpty {
            statements.append(
                Statement(
                    """
                    DELETE FROM \(schema).unit_scores u
                     USING unnest($1::text[], $2::text[], $3::text[], $4::text[])
                           AS k(function_id, experiment, name, unit_id)
                     WHERE u.function_id = k.function_id AND u.experiment = k.experiment
                       AND u.name = k.name AND u.unit_id = k.unit_id
                    """, Self.keys(gone)))
        }
        let present = steps.filter { $0.value.after.scores > 1 }
        if present.isEmpty { return statements }
        var columns = UnitColumns()
        for step in present.values { columns.append(step.after) }
        statements.append(
            Statement(
                """
                INSERT INTO \(schema).unit_scores
                    (function_id, experiment, name, unit_id, scores, total, least, greatest, latest,
                     latest_at, latest_position)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                                     $6::float8[], $7::float8[], $8::float8[], $9::float8[],
                                     $10::timestamptz[], $11::bigint[])
                ON CONFLICT (function_id, experiment, name, unit_id) DO UPDATE
                SET scores = excluded.scores, total = excluded.total, least = excluded.least,
                    greatest = excluded.greatest, latest = excluded.latest,
                    latest_at = excluded.latest_at, latest_position = excluded.latest_position
                """, Self.keys(Array(present.keys)) + columns.parameters))
        return statements
    }

    private struct UnitColumns {
        var counts = BinaryArray(.int64)
        var totals = BinaryArray(.double)
        var least = BinaryArray(.double)
        var greatest = BinaryArray(.double)
        var latest = BinaryArray(.double)
        var latestAt = BinaryArray(.timestamp)
        var positions = BinaryArray(.int64)

        mutating func append(_ unit: UnitScores) {
            counts.append(unit.scores)
            totals.append(unit.total)
            least.append(unit.least)
            greatest.append(unit.greatest)
            latest.append(unit.latest)
            latestAt.append(timestamp: unit.latestAt)
            positions.append(unit.latestPosition)
        }

        var parameters: [Parameter] {
            [counts, totals, least, greatest, latest, latestAt, positions].map { .array($0) }
        }
    }

    // MARK: Arms

    private func writeArms(
        _ keys: [ScoreArmKey], _ steps: some Collection<Step>, _ connection: Connection
    ) throws {
        var arms = try readArms(keys, connection)
        for step in steps {
            if step.before.scores > 0 { arms[step.arm].remove(step.before) }
            if step.after.scores > 0 { arms[step.arm].add(step.after) }
            arms[step.arm].countBooleans(step.booleans)
        }
        try write(Array(zip(keys, arms)), connection)
    }

    private func readArms(
        _ keys: [ScoreArmKey], _ connection: Connection
    ) throws -> [ScoreArm] {
        var arms = keys.map { _ in ScoreArm() }
        let rows = try connection.query(
            """
            SELECT k.n, a.units, a.scores, a.booleans, a.single, a.multiple
              FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
                   WITH ORDINALITY AS k(function_id, experiment, name, cohort, variant, n)
              JOIN \(schema).score_arms a USING (function_id, experiment, name, cohort, variant)
            """, Self.keys(keys))
        for row in 0..<rows.count {
            guard
                let arm = ScoreArm(
                    units: rows.int64(row, 1), scores: rows.int64(row, 2),
                    booleans: rows.int64(row, 3), single: rows.bytes(row, 4),
                    multiple: rows.bytes(row, 5))
            else { throw MalformedArmError() }
            arms[Int(rows.int64(row, 0)) - 1] = arm
        }
        return arms
    }

    private static func keys(_ arms: [ScoreArmKey]) -> [Parameter] {
        var cohorts = BinaryArray(.int32, capacity: arms.count)
        for arm in arms { cohorts.append(arm.cohort) }
        return keys(arms.map(\.series)) + [
            .array(cohorts), .array(BinaryArray(texts: arms.map(\.variant))),
        ]
    }

    /// Writes arms; those without units have no row.
    func write(
        _ arms: [(key: ScoreArmKey, arm: ScoreArm)], _ connection: Connection
    ) throws {
        var statements: [Statement] = []
        let empty = arms.filter { $0.arm.units == 0 }.map(\.key)
        if !empty.isEmpty {
            statements.append(
                Statement(
                    """
                    DELETE FROM \(schema).score_arms a
                     USING unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
                           AS k(function_id, experiment, name, cohort, variant)
                     WHERE a.function_id = k.function_id AND a.experiment = k.experiment
                       AND a.name = k.name AND a.cohort = k.cohort AND a.variant = k.variant
                    """, Self.keys(empty)))
        }
        let present = arms.filter { $0.arm.units > 0 }
        if !present.isEmpty { statements.append(upsert(present)) }
        if !statements.isEmpty { _ = try connection.pipeline(statements) }
    }

    private func upsert(_ arms: [(key: ScoreArmKey, arm: ScoreArm)]) -> Statement {
        var units = BinaryArray(.int64)
        var scores = BinaryArray(.int64)
        var booleans = BinaryArray(.int64)
        var single = BinaryArray(.bytes)
        var multiple = BinaryArray(.bytes)
        for (_, arm) in arms {
            units.append(arm.units)
            scores.append(arm.scores)
            booleans.append(arm.booleans)
            single.append(bytes: arm.encodedSingle)
            multiple.append(bytes: arm.encodedMultiple)
        }
        return Statement(
            """
            INSERT INTO \(schema).score_arms
                (function_id, experiment, name, cohort, variant, units, scores, booleans, single,
                 multiple)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[],
                                 $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[],
                                 $10::bytea[])
            ON CONFLICT (function_id, experiment, name, cohort, variant) DO UPDATE
            SET units = excluded.units, scores = excluded.scores, booleans = excluded.booleans,
                single = excluded.single, multiple = excluded.multiple
            """,
            Self.keys(arms.map(\.key))
                + [units, scores, booleans, single, multiple].map { .array($0) })
    }

    // MARK: Scores that count nowhere

    private func markRetracted(_ retractions: [ScoreChanges.Retraction]) -> Statement {
        var positions = BinaryArray(.int64)
        var by = BinaryArray(.int64)
        for retraction in retractions {
            positions.append(retraction.position)
            by.append(retraction.by)
        }
        return Statement(
            """
            UPDATE \(schema).scores s SET retracted = k.by
              FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                   AS k(function_id, experiment, name, position, by)
             WHERE s.function_id = k.function_id AND s.experiment = k.experiment
               AND s.name = k.name AND s.position = k.position
            """, Self.keys(retractions.map(\.series)) + [.array(positions), .array(by)])
    }

    private func countUnattributed(_ counts: [ScoreSeries: Int64]) -> [Statement] {
        let numbers = BinaryArray(int64s: Array(counts.values))
        return [
            Statement(
                """
                INSERT INTO \(schema).unattributed_scores AS u
                    (function_id, experiment, name, scores)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
                ON CONFLICT (function_id, experiment, name)
                DO UPDATE SET scores = u.scores + excluded.scores
                """, Self.keys(Array(counts.keys)) + [.array(numbers)]),
            Statement("DELETE FROM \(schema).unattributed_scores WHERE scores = 0"),
        ]
    }
}

/// A row of `score_arms` that this program did not write.
struct MalformedArmError: Error, CustomStringConvertible {
    var description: String {
        "a row of score_arms can't be read; `ledger rebuild` makes the projections anew"
    }
}
