-- How many subjects each variant of each cohort was given, by day (UTC).
CREATE TABLE assignment_counts (
    experiment_id text    COLLATE "C" NOT NULL,
    cohort_index  integer NOT NULL,
    variant_id    text    COLLATE "C" NOT NULL,
    day           date    NOT NULL,
    subjects      bigint  NOT NULL,
    PRIMARY KEY (experiment_id, cohort_index, variant_id, day)
);
