-- Keeps a slip of the hand in psql from changing the past; the Merkle tree finds what is no slip.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are immutable: % on %.% refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING HINT = 'Record a new event that takes the old one back.';
END
$$;

CREATE TRIGGER events_are_immutable
BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
