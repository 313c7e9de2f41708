-- Events that an endpoint did not take, set aside so that those behind them go on.
CREATE TABLE ledger.webhook_failures (
    webhook      text        COLLATE "C" NOT NULL,
    position     bigint      NOT NULL,
    attempts     integer     NOT NULL,
    -- The HTTP status; null where the ledger itself could not send the event.
    status       integer,
    reason       text        NOT NULL,
    -- The first bytes of the endpoint's answer, as text.
    answer       text        NOT NULL,
    failed_at    timestamptz NOT NULL,
    -- When someone asked to have it delivered once more; null while nobody did.
    requested_at timestamptz,
    PRIMARY KEY (webhook, position)
);
