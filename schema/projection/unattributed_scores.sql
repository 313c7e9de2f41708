-- How many scores are kept of units that have no variant.
CREATE TABLE unattributed_scores (
    function_id text   COLLATE "C" NOT NULL,
    experiment  text   COLLATE "C" NOT NULL,
    name        text   COLLATE "C" NOT NULL,
    scores      bigint NOT NULL,
    PRIMARY KEY (function_id, experiment, name)
);
