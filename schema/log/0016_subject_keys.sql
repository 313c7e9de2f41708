-- Keys of subjects whose IDs the log holds encrypted. Not part of the log: no export and no feed has
-- them, and destroying one makes all that it sealed unreadable for ever.
CREATE TABLE ledger.subject_keys (
    -- HMAC-SHA256 of the subject's ID, under a key from the key file.
    lookup      bytea       PRIMARY KEY,
    -- What the log calls the subject.
    token       text        COLLATE "C" NOT NULL UNIQUE,
    -- The subject's key, sealed with a key from the key file.
    key         bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- While the subject is being erased, what a crash would leave to be done, sealed like the key;
    -- nobody gets the key any more.
    erasing     bytea,
    erasing_at  timestamptz
);

CREATE INDEX subject_keys_erasing ON ledger.subject_keys (erasing_at) WHERE erasing IS NOT NULL;
