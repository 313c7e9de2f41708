-- How the scores of one name are distributed over the units of one variant of one cohort (or
-- definition), without scores taken back: what results are computed from.
CREATE TABLE score_arms (
    function_id text    COLLATE "C" NOT NULL,
    experiment  text    COLLATE "C" NOT NULL,
    name        text    COLLATE "C" NOT NULL,
    cohort      integer NOT NULL,
    variant     text    COLLATE "C" NOT NULL,
    units       bigint  NOT NULL,
    scores      bigint  NOT NULL,
    -- Of those, how many are booleans.
    booleans    bigint  NOT NULL,
    -- Exact sums and a quantile sketch of the units with one score, and, for each way to aggregate,
    -- of the units with more.
    single      bytea   NOT NULL,
    multiple    bytea   NOT NULL,
    PRIMARY KEY (function_id, experiment, name, cohort, variant)
);
