-- All definitions that step experiments have had, numbered as they were first seen.
CREATE TABLE step_definitions (
    function_id     text        COLLATE "C" NOT NULL,
    experiment_name text        COLLATE "C" NOT NULL,
    definition      integer     NOT NULL,
    strategy        text        NOT NULL,
    variants        json        NOT NULL,
    -- null where there are none.
    weights         json        NOT NULL,
    hash_version    integer     NOT NULL,
    -- What the strategy fixed gives.
    fixed_variant   text        COLLATE "C",
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (function_id, experiment_name, definition)
);
