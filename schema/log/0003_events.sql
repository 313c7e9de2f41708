-- The log: one row per event, in the order of position, without a gap.
CREATE TABLE ledger.events (
    position    bigint      NOT NULL,
    id          uuid        NOT NULL,
    stream      text        COLLATE "C" NOT NULL,
    -- Counts the events of the stream from 1.
    version     bigint      NOT NULL,
    type        text        COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor       text        COLLATE "C" NOT NULL,
    -- json keeps the exact text that was recorded and hashed; jsonb would not.
    data        json        NOT NULL,
    correlation text        COLLATE "C",
    CONSTRAINT events_position PRIMARY KEY (position),
    CONSTRAINT events_stream_version UNIQUE (stream, version)
);
