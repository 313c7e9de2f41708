-- The latest checkpoint that was signed: every node shows it, whoever signs.
CREATE TABLE ledger.checkpoint (
    singleton boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    -- The signed note, as it is sent.
    note      text        NOT NULL,
    -- Events that it covers.
    size      bigint      NOT NULL CHECK (size >= 0),
    -- The public key that signed it, as NAME+KEYID+BASE64.
    vkey      text        NOT NULL,
    -- The hashes of the last size % 256 leaves, which no tile holds yet.
    leaves    bytea       NOT NULL CHECK (octet_length(leaves) = size % 256 * 32),
    signed_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE ledger.checkpoint ALTER COLUMN leaves SET STORAGE EXTERNAL;
