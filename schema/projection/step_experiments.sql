-- Step experiments as code declares them now.
CREATE TABLE step_experiments (
    function_id text        COLLATE "C" NOT NULL,
    name        text        COLLATE "C" NOT NULL,
    -- The number of the definition in force.
    definition  integer     NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (function_id, name)
);
