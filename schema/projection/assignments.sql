-- First assignments. The indexes are made by assignments_indexes.sql, after a rebuild has filled
-- the table. Of what the event says, u is left out: only an audit of the draw needs it, and that
-- reads the log.
CREATE TABLE assignments (
    position      bigint      NOT NULL,
    created_at    timestamptz NOT NULL,
    event_id      uuid        NOT NULL,
    cohort_index  integer     NOT NULL,
    experiment_id text        COLLATE "C" NOT NULL,
    subject_id    text        COLLATE "C" NOT NULL,
    variant_id    text        COLLATE "C" NOT NULL
);
