-- First answers to requests that carried an idempotency key, and positions of events that came
-- with an ID of their own. Written in the transaction of the events they answer for.
CREATE TABLE ledger.idempotency (
    -- 'key/ACTOR/KEY' or 'event/UUID'.
    key         text        COLLATE "C" PRIMARY KEY,
    -- SHA-256 of the request.
    request     bytea       NOT NULL,
    answer      bytea       NOT NULL,
    recorded_at timestamptz NOT NULL
);

CREATE INDEX idempotency_recorded_at ON ledger.idempotency (recorded_at)
WHERE key LIKE 'key/%';
