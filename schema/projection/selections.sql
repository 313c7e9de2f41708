-- Variants of runs. The indexes are made by selections_indexes.sql, after a rebuild has filled the
-- table. How each draw came about is in the log.
CREATE TABLE selections (
    position        bigint      NOT NULL,
    created_at      timestamptz NOT NULL,
    event_id        uuid        NOT NULL,
    definition      integer     NOT NULL,
    nullish_bucket  boolean     NOT NULL,
    function_id     text        COLLATE "C" NOT NULL,
    experiment_name text        COLLATE "C" NOT NULL,
    run_id          text        COLLATE "C" NOT NULL,
    variant         text        COLLATE "C" NOT NULL
);
