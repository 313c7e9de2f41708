-- Perfect subtrees of the Merkle tree that are complete, so that a proof reads a few rows instead of
-- the log. A tile of level n covers 256^n leaves, from index * 256^n on; it is written in the
-- transaction that completes it.
CREATE TABLE ledger.tiles (
    level  smallint NOT NULL CHECK (level BETWEEN 1 AND 7),
    -- Counts the tiles of the level from 0.
    index  bigint   NOT NULL CHECK (index >= 0),
    root   bytea    NOT NULL CHECK (octet_length(root) = 32),
    -- Of level 1 alone: the hashes of its 256 leaves, which are events.
    leaves bytea    CHECK ((level = 1) = (leaves IS NOT NULL) AND octet_length(leaves) = 8192),
    CONSTRAINT tiles_level_index PRIMARY KEY (level, index)
);

-- Hashes don't compress, and the roots are read without them.
ALTER TABLE ledger.tiles ALTER COLUMN leaves SET STORAGE EXTERNAL;

CREATE TRIGGER tiles_are_immutable
BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.tiles
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
