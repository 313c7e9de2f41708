-- First assignments. The indexes are made by assignments_indexes.sql, after a rebuild has filled
-- the table.
CREATE TABLE assignments (
    position      bigint           NOT NULL,
    event_id      uuid             NOT NULL,
    experiment_id text             COLLATE "C" NOT NULL,
    subject_id    text             COLLATE "C" NOT NULL,
    variant_id    text             COLLATE "C" NOT NULL,
    cohort_index  integer          NOT NULL,
    u             double precision NOT NULL,
    created_at    timestamptz      NOT NULL
);
