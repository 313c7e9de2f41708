-- The end of the log, in one row. Appending is a compare-and-set of this row, so positions are
-- given out inside the transaction that uses them and none is ever burned.
CREATE TABLE ledger.head (
    singleton   boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Of the last event; 0 in an empty log.
    position    bigint      NOT NULL CHECK (position >= 0),
    -- Grows with every change of leader; who writes under an older one is fenced off.
    epoch       bigint      NOT NULL CHECK (epoch >= 0),
    -- Roots of the perfect subtrees of the Merkle tree, 32 bytes each, largest first.
    frontier    bytea       NOT NULL CHECK (octet_length(frontier) % 32 = 0),
    -- Of the last event; never decreases.
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10);

INSERT INTO ledger.head (position, epoch, frontier, recorded_at)
VALUES (0, 0, '', 'epoch');
