import Domain
import JSON
import Postgres

/// Writes what a fold has gathered into the tables of a schema, inside the caller's transaction.
struct ProjectionWriter {
    let schema: String

    /// Writes all of it, and moves the checkpoint to the fold's position.
    func write(_ fold: ProjectionFold, _ connection: Connection) throws {
        var fold = fold
        for (table, rows) in fold.takeRows() {
            _ = try connection.copyIn("COPY \(schema).\(table) FROM STDIN (FORMAT binary)") {
                writer throws(PostgresError) in
                try writer.append(rows)
            }
        }
        try ScoreWriter(schema: schema).write(fold, connection)
        var statements: [Statement] = []
        if !fold.counts.isEmpty { statements.append(add(fold.counts)) }
        statements += writeSteps(fold)
        statements += replaceGroups(fold)
        statements += replaceExperiments(fold)
        statements.append(
            Statement(
                """
                INSERT INTO \(schema).checkpoint (position, definition) VALUES ($1, $2)
                ON CONFLICT (singleton)
                DO UPDATE SET position = excluded.position, definition = excluded.definition
                """, [.int64(fold.position), .text(ProjectionSchema.definition)]))
        _ = try connection.pipeline(statements)
    }

    private func add(_ counts: ArmCounts) -> Statement {
        var experiments = BinaryArray(.text)
        var cohorts = BinaryArray(.int32)
        var variants = BinaryArray(.text)
        var days = BinaryArray(.int32)
        var subjects = BinaryArray(.int64)
        for arm in counts.arms {
            experiments.append(bytes: Array(arm.experiment))
            cohorts.append(arm.cohort)
            variants.append(bytes: Array(arm.variant))
            days.append(arm.day)
            subjects.append(arm.subjects)
        }
        return Statement(
            """
            INSERT INTO \(schema).assignment_counts AS c
                (experiment_id, cohort_index, variant_id, day, subjects)
            SELECT experiment, cohort, variant, date '1970-01-01' + day, subjects
              FROM unnest($1::text[], $2::int[], $3::text[], $4::int[], $5::bigint[])
                   AS a(experiment, cohort, variant, day, subjects)
            ON CONFLICT (experiment_id, cohort_index, variant_id, day)
            DO UPDATE SET subjects = c.subjects + excluded.subjects
            """,
            [
                .array(experiments), .array(cohorts), .array(variants), .array(days),
                .array(subjects),
            ])
    }

    // MARK: Labs and subject types

    private func replaceGroups(_ fold: ProjectionFold) -> [Statement] {
        var kinds = BinaryArray(.text)
        var rows = GroupRows()
        for resource in fold.changed {
            guard let group = fold.state.groups(resource.kind)[resource.id],
                resource.kind != .experiment
            else { continue }
            kinds.append(text: resource.kind.rawValue)
            rows.append(group)
        }
        if kinds.count == 0 { return [] }
        return [
            Statement(
                """
                INSERT INTO \(schema).groups
                    (kind, id, name, description, status, resource_version, created_at, updated_at)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                     $6::bigint[], $7::timestamptz[], $8::timestamptz[])
                ON CONFLICT (kind, id) DO UPDATE
                SET name = excluded.name, description = excluded.description,
                    status = excluded.status, resource_version = excluded.resource_version,
                    created_at = excluded.created_at, updated_at = excluded.updated_at
                """, [.array(kinds)] + rows.parameters)
        ]
    }

    // MARK: Experiments

    private func replaceExperiments(_ fold: ProjectionFold) -> [Statement] {
        var ids = BinaryArray(.text)
        var rows = ExperimentRows()
        var variants = VariantRows()
        var splits = SplitRows()
        for resource in fold.changed where resource.kind == .experiment {
            guard let experiment = fold.state.experiments[resource.id] else { continue }
            ids.append(text: experiment.id.text)
            rows.append(experiment)
            variants.append(experiment)
            splits.append(experiment)
        }
        if ids.count == 0 { return [] }
        let delete = { (table: String, column: String) in
            Statement(
                "DELETE FROM \(schema).\(table) WHERE \(column) = ANY($1::text[])", [.array(ids)])
        }
        return [
            delete("experiments", "id"), delete("variants", "experiment_id"),
            delete("cohort_splits", "experiment_id"),
            Statement(
                """
                INSERT INTO \(schema).experiments
                    (id, name, description, status, lab_id, subject_type_id, hypothesis, links,
                     winning_variant, ended_reason, resource_version, created_at, updated_at,
                     sealed)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                     $6::text[], $7::text[], $8::json[], $9::text[], $10::text[],
                                     $11::bigint[], $12::timestamptz[], $13::timestamptz[],
                                     $14::bool[])
                """, rows.parameters),
            Statement(
                """
                INSERT INTO \(schema).variants
                    (experiment_id, id, ordinal, is_control, name, description)
                SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bool[], $5::text[],
                                     $6::text[])
                """, variants.parameters),
            Statement(
                """
                INSERT INTO \(schema).cohort_splits
                    (experiment_id, cohort_index, ordinal, variant_id, split, created_at)
                SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::float8[],
                                     $6::timestamptz[])
                """, splits.parameters),
        ]
    }
}
