import Crypto
import Postgres
import Schema

/// The tables of the projections, in the schemas in which they live one after the other.
enum ProjectionSchema {
    /// What the analytics views read.
    static let live = "projection"
    /// Where a rebuild makes the next ones.
    static let next = "projection_next"
    /// What a rebuild has replaced, until it is dropped.
    static let old = "projection_old"

    /// To be raised when the fold puts other rows in the same tables.
    private static let foldVersion = 2

    /// Names what the rows of the projections come from, so that a change of it is noticed.
    static let definition: String = {
        let text =
            "\(foldVersion)\n\(Schema.projectionTables)\n\(Schema.projectionIndexes)\n"
            + Schema.analyticsViews
        return SHA256.hash(data: Array(text.utf8)).map {
            ($0 < 16 ? "0" : "") + String($0, radix: 16)
        }.joined()
    }()

    struct Table: Sendable {
        let name: String
        let key: [String]
    }

    /// What a rebuild makes, beside the checkpoint.
    static let tables = [
        Table(name: "groups", key: ["kind", "id"]),
        Table(name: "experiments", key: ["id"]),
        Table(name: "variants", key: ["experiment_id", "id"]),
        Table(name: "cohort_splits", key: ["experiment_id", "cohort_index", "ordinal"]),
        Table(name: "assignments", key: ["experiment_id", "subject_id"]),
        Table(
            name: "assignment_counts",
            key: ["experiment_id", "cohort_index", "variant_id", "day"]),
        Table(name: "step_experiments", key: ["function_id", "name"]),
        Table(name: "step_definitions", key: ["function_id", "experiment_name", "definition"]),
        Table(name: "selections", key: ["run_id", "function_id", "experiment_name"]),
        Table(
            name: "selection_counts",
            key: ["function_id", "experiment_name", "definition", "variant", "day"]),
        Table(name: "rollouts", key: ["function_id", "experiment_name", "key"]),
        Table(name: "scores", key: ["function_id", "experiment", "name", "position"]),
        Table(name: "unit_scores", key: ["function_id", "experiment", "name", "unit_id"]),
        Table(
            name: "score_arms",
            key: ["function_id", "experiment", "name", "cohort", "variant"]),
        Table(name: "unattributed_scores", key: ["function_id", "experiment", "name"]),
    ]

    /// In the order of the table, so that a COPY need not name them.
    static let assignmentColumns =
        "position, created_at, event_id, cohort_index, experiment_id, subject_id, variant_id"

    static let selectionColumns =
        "position, created_at, event_id, definition, nullish_bucket, function_id, experiment_name, "
        + "run_id, variant"

    static let scoreColumns =
        "position, recorded_at, occurred_at, event_id, value, is_boolean, cohort, function_id, "
        + "experiment, name, unit_id, variant, retracted"

    /// How far a schema's projections have read, and what they were built by.
    struct Checkpoint: Sendable, Equatable {
        var position: Int64
        var definition: String
    }

    /// Reads a schema's checkpoint; nil where there is no schema, no table or no row.
    ///
    /// With `locking`, no other session can move it, or swap the schema, before this transaction ends.
    static func checkpoint(
        of schema: String, locking: Bool = false, _ connection: Connection
    ) throws -> Checkpoint? {
        let exists = try connection.query(
            "SELECT to_regclass($1) IS NOT NULL", [.text("\(schema).checkpoint")])
        guard exists.bool(0, 0) else { return nil }
        let lock = locking ? " FOR UPDATE" : ""
        let rows = try connection.query(
            "SELECT position, definition FROM \(schema).checkpoint" + lock)
        guard rows.count == 1 else { return nil }
        return Checkpoint(position: rows.int64(0, 0), definition: rows.text(0, 1))
    }

    static func exists(_ schema: String, _ connection: Connection) throws -> Bool {
        try connection.query("SELECT to_regnamespace($1) IS NOT NULL", [.text(schema)]).bool(0, 0)
    }

    /// Drops a schema of ours; what others have built on its tables makes PostgreSQL refuse.
    static func drop(_ schema: String, _ connection: Connection) throws {
        let rows = try connection.query(
            """
            SELECT string_agg(format('%I.%I', schemaname, tablename), ', ')
              FROM pg_tables WHERE schemaname = $1
            """, [.text(schema)])
        let tables = rows.isNull(0, 0) ? "" : "DROP TABLE \(rows.text(0, 0));"
        try connection.execute("\(tables) DROP SCHEMA IF EXISTS \(schema)")
    }
}
