-- Cohorts of experiments, a row for each variant's share.
CREATE TABLE cohort_splits (
    experiment_id text             COLLATE "C" NOT NULL,
    cohort_index  integer          NOT NULL,
    ordinal       integer          NOT NULL,
    variant_id    text             COLLATE "C" NOT NULL,
    split         double precision NOT NULL,
    created_at    timestamptz      NOT NULL,
    PRIMARY KEY (experiment_id, cohort_index, ordinal)
);
