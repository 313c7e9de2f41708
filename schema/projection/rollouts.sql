-- The variants that rollout tables name.
CREATE TABLE rollouts (
    function_id     text        COLLATE "C" NOT NULL,
    experiment_name text        COLLATE "C" NOT NULL,
    key             text        COLLATE "C" NOT NULL,
    variant         text        COLLATE "C" NOT NULL,
    position        bigint      NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (function_id, experiment_name, key)
);
