-- Holds the head row until the transaction ends, or raises LE001 if it is not where the caller left
-- it: the fence of a leader that sends its events before it knows where they will end.
CREATE FUNCTION ledger.claim_head(at_position bigint, under_epoch bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM ledger.head
      WHERE position = at_position AND epoch = under_epoch
        FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the head is not at position % under epoch %', at_position, under_epoch
            USING ERRCODE = 'LE001';
    END IF;
END
$$;
