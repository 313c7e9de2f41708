-- What makes this database a follower's: another ledger whose lines it takes in, as they are.
CREATE TABLE ledger.origin (
    singleton         boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    -- The address that is followed.
    url               text        NOT NULL,
    -- The public key that signs its checkpoints, as NAME+KEYID+BASE64: trusted since the first use.
    vkey              text        NOT NULL,
    -- The highest epoch under which it was seen to be led: a promotion begins a later one.
    source_epoch      bigint      NOT NULL,
    -- Events that a signed checkpoint covers; those behind it are taken on trust for a moment.
    verified_size     bigint      NOT NULL CHECK (verified_size >= 0),
    -- Why nothing more is taken in; null while all fits.
    halted_kind       text,
    halted_position   bigint,
    halted_reason     text,
    halted_at         timestamptz,
    -- Since when this is a ledger of its own, and how far it had come.
    promoted_position bigint,
    promoted_at       timestamptz
);
