-- How far each webhook endpoint has got. Written now and then, never per delivery: what a crash
-- takes back is delivered once more.
CREATE TABLE ledger.webhook_progress (
    webhook       text        COLLATE "C" NOT NULL,
    -- 0 for the deliveries themselves, else the number of a replay.
    lane          integer     NOT NULL,
    -- The position of the event that created the endpoint: a removed one's rows mean nothing to the
    -- next of that name.
    created_at    bigint      NOT NULL,
    -- Everything up to here is settled…
    position      bigint      NOT NULL,
    -- …and these ranges above it, as '7-9,12-12'.
    settled       text        NOT NULL,
    -- The clock of an endpoint that is down.
    failures      integer     NOT NULL,
    failing_since timestamptz,
    retry_at      timestamptz,
    PRIMARY KEY (webhook, lane)
) WITH (fillfactor = 50);
