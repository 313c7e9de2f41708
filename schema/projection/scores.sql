-- Every score. The index is made by scores_indexes.sql, after a rebuild has filled the table.
CREATE TABLE scores (
    position    bigint           NOT NULL,
    recorded_at timestamptz      NOT NULL,
    occurred_at timestamptz      NOT NULL,
    event_id    uuid             NOT NULL,
    value       double precision NOT NULL,
    is_boolean  boolean          NOT NULL,
    -- The cohort of a subject, the definition of a run; null with the variant.
    cohort      integer,
    -- '' for the subjects of a managed experiment.
    function_id text             COLLATE "C" NOT NULL,
    experiment  text             COLLATE "C" NOT NULL,
    name        text             COLLATE "C" NOT NULL,
    unit_id     text             COLLATE "C" NOT NULL,
    -- Null where the unit has none and the score is kept nevertheless.
    variant     text             COLLATE "C",
    -- The position of the event that took the score back.
    retracted   bigint
);
