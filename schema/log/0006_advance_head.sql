-- Moves the head from one position to another under an epoch, or raises LE001 if another leader
-- has moved it: then nothing of the transaction happens.
CREATE FUNCTION ledger.advance_head(
    from_position bigint, under_epoch bigint,
    to_position bigint, new_frontier bytea, new_recorded_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger.head
       SET position = to_position, frontier = new_frontier, recorded_at = new_recorded_at
     WHERE position = from_position AND epoch = under_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the head is not at position % under epoch %', from_position, under_epoch
            USING ERRCODE = 'LE001';
    END IF;
END
$$;
