-- What units with more than one score of a name come to, without those taken back. Units with one
-- are not here: most have one, and their score says it all.
CREATE TABLE unit_scores (
    function_id     text             COLLATE "C" NOT NULL,
    experiment      text             COLLATE "C" NOT NULL,
    name            text             COLLATE "C" NOT NULL,
    unit_id         text             COLLATE "C" NOT NULL,
    scores          bigint           NOT NULL,
    -- Added up in the order of the log.
    total           double precision NOT NULL,
    least           double precision NOT NULL,
    greatest        double precision NOT NULL,
    -- The one that occurred last; of those that occurred together, the one recorded last.
    latest          double precision NOT NULL,
    latest_at       timestamptz      NOT NULL,
    latest_position bigint           NOT NULL,
    PRIMARY KEY (function_id, experiment, name, unit_id)
);
