-- Variants of experiments, in the order they were added.
CREATE TABLE variants (
    experiment_id text    COLLATE "C" NOT NULL,
    id            text    COLLATE "C" NOT NULL,
    ordinal       integer NOT NULL,
    is_control    boolean NOT NULL,
    name          text,
    description   text,
    PRIMARY KEY (experiment_id, id)
);
