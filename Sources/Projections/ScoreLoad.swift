import Postgres

/// Works out what scores come to from the whole table of them, after a rebuild has filled it.
extension ScoreWriter {
    /// A value as ``ProjectedScore`` has it.
    static var value: String {
        let bound = "\(ProjectedScore.valueMax)::float8"
        return "greatest(-\(bound), least(\(bound), value)) + 0"
    }

    private static let counted = "variant IS NOT NULL AND retracted IS NULL"

    /// Fills `unit_scores`, `score_arms` and `unattributed_scores`.
    func load(_ connection: Connection) throws {
        try connection.execute(
            """
            SET LOCAL work_mem = '256MB'; SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on;
            ANALYZE \(schema).scores;
            INSERT INTO \(schema).unattributed_scores (function_id, experiment, name, scores)
            SELECT function_id, experiment, name, count(*)
              FROM \(schema).scores WHERE variant IS NULL AND retracted IS NULL
             GROUP BY function_id, experiment, name;
            INSERT INTO \(schema).unit_scores
                (function_id, experiment, name, unit_id, scores, total, least, greatest, latest,
                 latest_at, latest_position)
            SELECT function_id, experiment, name, unit_id, count(*),
                   sum(v ORDER BY position), min(v), max(v),
                   (array_agg(v ORDER BY occurred_at DESC, position DESC))[1],
                   max(occurred_at),
                   (array_agg(position ORDER BY occurred_at DESC, position DESC))[1]
              FROM (SELECT *, \(Self.value) AS v FROM \(schema).scores
                     WHERE \(Self.counted)) AS s
             GROUP BY function_id, experiment, name, unit_id
            HAVING count(*) > 1
            """)
        try write(readAllArms(connection).map { ($0.key, $0.value) }, connection)
        try connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    }

    /// All arms, from one pass over the units.
    private func readAllArms(_ connection: Connection) throws -> [ScoreArmKey: ScoreArm] {
        var arms: [ScoreArmKey: ScoreArm] = [:]
        let units = """
            COPY (
                SELECT s.function_id, s.experiment, s.name, s.variant, s.cohort, s.booleans,
                       s.scores, s.v,
                       coalesce(u.total, 0), coalesce(u.least, 0), coalesce(u.greatest, 0),
                       coalesce(u.latest, 0)
                  FROM (SELECT function_id, experiment, name, unit_id, min(variant) AS variant,
                               min(cohort) AS cohort, count(*) AS scores, min(v) AS v,
                               count(*) FILTER (WHERE is_boolean) AS booleans
                          FROM (SELECT *, \(Self.value) AS v FROM \(schema).scores
                                 WHERE \(Self.counted)) AS t
                         GROUP BY function_id, experiment, name, unit_id) AS s
                  LEFT JOIN \(schema).unit_scores u
                       USING (function_id, experiment, name, unit_id)
            ) TO STDOUT (FORMAT binary)
            """
        try connection.copyOut(units) { message in
            var fields = CopyFields(message)
            let series = ScoreSeries(
                function: fields.text(), experiment: fields.text(), name: fields.text())
            let variant = fields.text()
            let arm = ScoreArmKey(series: series, cohort: fields.int32(), variant: variant)
            let booleans = fields.int64()
            let scores = fields.int64()
            let value = fields.double()
            let (total, least, greatest, latest) = (
                fields.double(), fields.double(), fields.double(), fields.double()
            )
            arms[arm, default: ScoreArm()].add(
                scores == 1
                    ? UnitScores(only: value)
                    : UnitScores(
                        scores: scores, total: total, least: least, greatest: greatest,
                        latest: latest, latestAt: 0, latestPosition: 0))
            arms[arm]?.countBooleans(booleans)
        }
        return arms
    }
}

extension UnitScores {
    /// A single score.
    fileprivate init(only value: Double) {
        self.init(
            scores: 1, total: value, least: value, greatest: value, latest: value, latestAt: 0,
            latestPosition: 0)
    }
}
