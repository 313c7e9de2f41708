-- Who leads, and where the other nodes reach it to pass requests on.
CREATE TABLE ledger.leader (
    singleton boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Of the head, while this node leads.
    epoch     bigint      NOT NULL,
    -- 'http://HOST:PORT'; null for one that serves nobody.
    url       text,
    since     timestamptz NOT NULL DEFAULT now()
);
