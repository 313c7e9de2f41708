-- What analysts read. The views are replaced, never dropped, in the transaction that swaps the
-- projections under them, so grants on them stay. A view can only be replaced by one with the same
-- columns, and more behind them.
CREATE SCHEMA IF NOT EXISTS analytics;

CREATE OR REPLACE VIEW analytics.labs AS
SELECT id, name, description, status, resource_version, created_at, updated_at
  FROM projection.groups WHERE kind = 'lab';

CREATE OR REPLACE VIEW analytics.subject_types AS
SELECT id, name, description, status, resource_version, created_at, updated_at
  FROM projection.groups WHERE kind = 'subjecttype';

CREATE OR REPLACE VIEW analytics.experiments AS
SELECT id, name, description, status, lab_id, subject_type_id, hypothesis, links,
       winning_variant, ended_reason, resource_version, created_at, updated_at, sealed
  FROM projection.experiments;

CREATE OR REPLACE VIEW analytics.variants AS
SELECT experiment_id, id, name, description, is_control
  FROM projection.variants;

CREATE OR REPLACE VIEW analytics.assignments AS
SELECT event_id AS id, subject_id, experiment_id, variant_id, cohort_index, created_at
  FROM projection.assignments;

-- Each cohort's planned shares beside what was assigned.
CREATE OR REPLACE VIEW analytics.cohort_summary AS
SELECT s.experiment_id, s.cohort_index, s.created_at, s.variant_id, s.split,
       coalesce(sum(c.subjects), 0)::bigint AS assignments
  FROM projection.cohort_splits s
  LEFT JOIN projection.assignment_counts c USING (experiment_id, cohort_index, variant_id)
 GROUP BY s.experiment_id, s.cohort_index, s.created_at, s.variant_id, s.split;

-- Running totals, a row for each day on which a variant was assigned.
CREATE OR REPLACE VIEW analytics.assignments_over_time AS
SELECT experiment_id, variant_id, day, assignments,
       sum(assignments) OVER (PARTITION BY experiment_id, variant_id ORDER BY day)::bigint
           AS total_assignments
  FROM (SELECT experiment_id, variant_id, day, sum(subjects)::bigint AS assignments
          FROM projection.assignment_counts
         GROUP BY experiment_id, variant_id, day) per_day;

CREATE OR REPLACE VIEW analytics.assignments_per_day AS
SELECT day, experiment_id, sum(subjects)::bigint AS assignments
  FROM projection.assignment_counts
 GROUP BY day, experiment_id;

CREATE OR REPLACE VIEW analytics.assignments_per_experiment AS
SELECT e.id AS experiment_id, coalesce(sum(c.subjects), 0)::bigint AS assignments
  FROM projection.experiments e
  LEFT JOIN projection.assignment_counts c ON c.experiment_id = e.id
 GROUP BY e.id;

CREATE OR REPLACE VIEW analytics.step_experiments AS
SELECT function_id, name, definition, created_at, updated_at
  FROM projection.step_experiments;

CREATE OR REPLACE VIEW analytics.step_definitions AS
SELECT function_id, experiment_name, definition, strategy, variants, weights, hash_version,
       fixed_variant, created_at
  FROM projection.step_definitions;

CREATE OR REPLACE VIEW analytics.selections AS
SELECT event_id AS id, run_id, function_id, experiment_name, variant, definition, nullish_bucket,
       created_at
  FROM projection.selections;

CREATE OR REPLACE VIEW analytics.selections_per_day AS
SELECT day, function_id, experiment_name, definition, variant, runs
  FROM projection.selection_counts;

CREATE OR REPLACE VIEW analytics.rollouts AS
SELECT function_id, experiment_name, key, variant, updated_at
  FROM projection.rollouts;

-- Scores that count. function_id and definition are those of a step experiment's runs, null for
-- the subjects of a managed one, which have a cohort instead.
CREATE OR REPLACE VIEW analytics.scores AS
SELECT event_id AS id, nullif(function_id, '') AS function_id, experiment AS experiment_id,
       unit_id, variant AS variant_id,
       CASE WHEN function_id = '' THEN cohort END AS cohort_index,
       CASE WHEN function_id <> '' THEN cohort END AS definition,
       name, value, is_boolean, occurred_at, recorded_at, position
  FROM projection.scores
 WHERE variant IS NOT NULL AND retracted IS NULL;

-- Scores of units without a variant, which count nowhere.
CREATE OR REPLACE VIEW analytics.unattributed_scores AS
SELECT event_id AS id, nullif(function_id, '') AS function_id, experiment AS experiment_id,
       unit_id, name, value, is_boolean, occurred_at, recorded_at, position
  FROM projection.scores
 WHERE variant IS NULL AND retracted IS NULL;

CREATE OR REPLACE VIEW analytics.retracted_scores AS
SELECT event_id AS id, nullif(function_id, '') AS function_id, experiment AS experiment_id,
       unit_id, variant AS variant_id, name, value, is_boolean, occurred_at, recorded_at, position,
       retracted AS retracted_position
  FROM projection.scores
 WHERE retracted IS NOT NULL;
