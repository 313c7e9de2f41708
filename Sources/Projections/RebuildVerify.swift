import Postgres

/// A place where the live projections are not what the log says.
package struct ProjectionDifference: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable { case missingRow, rowTooMany, otherValue }

    package var kind: Kind
    package var table: String
    /// Values of the key's columns.
    package var key: String
    /// The column with the other value.
    package var column: String?
    /// What the table holds: the value, or the row that is too many; nil for NULL.
    package var holds: String?
    /// What follows from the log: the value, or the row that is missing; nil for NULL.
    package var expected: String?

    package var description: String {
        let place = "\(table) (\(key))"
        let held = holds ?? "NULL"
        let wanted = expected ?? "NULL"
        return switch kind {
        case .missingRow: "\(place): row missing; the log says \(wanted)"
        case .rowTooMany: "\(place): row too many; the table holds \(held)"
        case .otherValue:
            "\(place), \(column ?? ""): the table holds \(held), the log says \(wanted)"
        }
    }
}

/// What comparing the live projections with the log has shown.
package struct RebuildVerifyReport: Sendable {
    /// The checkpoint that was compared.
    package var position: Int64
    /// Rows compared.
    package var rows: Int
    /// The first differences of each table, at most ``Rebuild/differencesMax`` in all.
    package var differences: [ProjectionDifference]
    /// All differences.
    package var count: Int
    package var duration: Duration
}

/// There are no live projections that this program could compare.
package struct NothingToVerifyError: Error, CustomStringConvertible {
    package let description: String
}

extension Rebuild {
    /// Differences that a report lists.
    package static let differencesMax = 100

    /// Builds all projections from position 0 beside the live ones, and compares them row by row.
    ///
    /// The live tables are read in one snapshot and stay as they are; the server goes on.
    package static func verify(
        conninfo: String, progress: @escaping RebuildProgress
    ) throws -> RebuildVerifyReport {
        let start = ContinuousClock.now
        let build = try ShadowBuild(conninfo: conninfo)
        _ = try head(build.connection)
        try build.build(
            through: try liveCheckpoint(build.connection).position, progress: progress)
        var report = RebuildVerifyReport(
            position: 0, rows: 0, differences: [], count: 0, duration: .zero)
        try build.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ") {
            report.position = try liveCheckpoint(build.connection).position
            try build.append(through: report.position)
            try build.connection.execute(
                """
                SET LOCAL work_mem = '256MB'; SET LOCAL enable_seqscan = on;
                SET LOCAL enable_sort = on; SET LOCAL max_parallel_workers_per_gather = 2
                """)
            for table in ProjectionSchema.tables { try report.compare(table, build.connection) }
        }
        try build.drop()
        report.duration = ContinuousClock.now - start
        return report
    }

    private static func liveCheckpoint(
        _ connection: Connection
    ) throws -> ProjectionSchema.Checkpoint {
        guard
            let live = try ProjectionSchema.checkpoint(of: ProjectionSchema.live, connection)
        else {
            throw NothingToVerifyError(
                description: "There are no projections yet. `ledger rebuild` makes them.")
        }
        guard live.definition == ProjectionSchema.definition else {
            throw NothingToVerifyError(
                description: "The projections were built by another version of the ledger. "
                    + "`ledger rebuild` builds them anew.")
        }
        return live
    }
}

extension RebuildVerifyReport {
    fileprivate mutating func compare(
        _ table: ProjectionSchema.Table, _ connection: Connection
    ) throws {
        let columns = try connection.query(
            """
            SELECT a.attname::text, a.atttypid = 'json'::regtype FROM pg_attribute a
             WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attname <> ALL ($2::text[])
             ORDER BY a.attnum
            """,
            [
                .text("\(ProjectionSchema.next).\(table.name)"),
                .array(BinaryArray(texts: table.key)),
            ])
        let compared = (0..<columns.count).map { row in
            Column(name: columns.text(row, 0), isJSON: columns.bool(row, 1))
        }
        let counted = try connection.query(
            "SELECT count(*) FROM \(ProjectionSchema.next).\(table.name)")
        rows += Int(counted.int64(0, 0))
        let found = try connection.query(
            comparison(table, compared), [.int32(Int32(Rebuild.differencesMax - differences.count))]
        )
        for row in 0..<found.count {
            count += row == 0 ? Int(found.int64(0, 0)) : 0
            guard !found.isNull(row, 1) else { continue }
            let text = { found.isNull(row, $0) ? nil : found.text(row, $0) }
            differences.append(
                ProjectionDifference(
                    kind: ProjectionDifference.Kind(rawValue: found.text(row, 1)) ?? .otherValue,
                    table: table.name, key: found.text(row, 2), column: text(3), holds: text(4),
                    expected: text(5)))
        }
    }

    private struct Column {
        let name: String
        let isJSON: Bool

        /// As text where the type is json, which has no equality of its own.
        var comparison: String {
            let cast = isJSON ? "::text" : ""
            return "h.\(name)\(cast) IS DISTINCT FROM e.\(name)\(cast)"
        }
    }

    /// Differences of a table: their number in every row, and beside it the first of them.
    private func comparison(_ table: ProjectionSchema.Table, _ columns: [Column]) -> String {
        let key = table.key[0]
        let match = table.key.map { "h.\($0) = e.\($0)" }.joined(separator: " AND ")
        let other = columns.map(\.comparison).joined(separator: " OR ")
        let values = columns.map { "('\($0.name)', h.\($0.name)::text, e.\($0.name)::text)" }
            .joined(separator: ", ")
        let keys = table.key.map { "coalesce(h.\($0), e.\($0))::text" }.joined(separator: ", ")
        return """
            WITH found AS MATERIALIZED (
                SELECT d.kind, concat_ws(' / ', \(keys)) AS key, d.name, d.holds, d.expected
                  FROM \(ProjectionSchema.live).\(table.name) h
                  FULL JOIN \(ProjectionSchema.next).\(table.name) e ON \(match)
                 CROSS JOIN LATERAL (
                    SELECT 'missingRow', NULL, NULL, to_jsonb(e)::text WHERE h.\(key) IS NULL
                     UNION ALL
                    SELECT 'rowTooMany', NULL, to_jsonb(h)::text, NULL WHERE e.\(key) IS NULL
                     UNION ALL
                    SELECT 'otherValue', name, holds, expected
                      FROM (VALUES \(values)) AS v(name, holds, expected)
                     WHERE h.\(key) IS NOT NULL AND e.\(key) IS NOT NULL
                       AND holds IS DISTINCT FROM expected
                 ) AS d(kind, name, holds, expected)
                 WHERE h.\(key) IS NULL OR e.\(key) IS NULL OR \(other)
            )
            SELECT total.n, f.kind, f.key, f.name, f.holds, f.expected
              FROM (SELECT count(*) AS n FROM found) AS total
              LEFT JOIN LATERAL (SELECT * FROM found ORDER BY key, name LIMIT $1) AS f ON true
            """
    }
}
