/// The SQL of the ledger, compiled in. Each object has a file of its own beside this one.
package enum Schema {
    /// Changes of the log's schema, in order; once released, a migration never changes.
    package static let migrations: [String] = [
        text(PackageResources._001_schema_sql),
        text(PackageResources._002_head_sql),
        text(PackageResources._003_events_sql),
        text(PackageResources._004_events_are_immutable_sql),
        text(PackageResources._005_idempotency_sql),
        text(PackageResources._006_advance_head_sql),
        text(PackageResources._007_position_at_sql),
        text(PackageResources._008_claim_head_sql),
        text(PackageResources._009_selection_run_sql),
        text(PackageResources._010_webhook_progress_sql),
        text(PackageResources._011_webhook_failures_sql),
        text(PackageResources._012_leader_sql),
        text(PackageResources._013_tiles_sql),
        text(PackageResources._014_checkpoint_sql),
        text(PackageResources._015_origin_sql),
        text(PackageResources._016_subject_keys_sql),
    ]

    /// Tables of the projections, to be made in the first schema of the search path.
    package static let projectionTables = [
        text(PackageResources.checkpoint_sql),
        text(PackageResources.groups_sql),
        text(PackageResources.experiments_sql),
        text(PackageResources.variants_sql),
        text(PackageResources.cohort_splits_sql),
        text(PackageResources.assignments_sql),
        text(PackageResources.assignment_counts_sql),
        text(PackageResources.step_experiments_sql),
        text(PackageResources.step_definitions_sql),
        text(PackageResources.selections_sql),
        text(PackageResources.selection_counts_sql),
        text(PackageResources.rollouts_sql),
        text(PackageResources.scores_sql),
        text(PackageResources.unit_scores_sql),
        text(PackageResources.score_arms_sql),
        text(PackageResources.unattributed_scores_sql),
    ].joined(separator: "\n")

    /// Indexes that are cheaper to make once their table is filled.
    package static let projectionIndexes = [
        text(PackageResources.assignments_indexes_sql),
        text(PackageResources.selections_indexes_sql),
        text(PackageResources.scores_indexes_sql),
    ].joined(separator: "\n")

    package static let analyticsViews = text(PackageResources.views_sql)

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
