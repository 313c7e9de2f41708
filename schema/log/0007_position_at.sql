-- The last position recorded at or before a moment; 0 if there is none. recorded_at never
-- decreases along the log, so a binary search over positions finds it.
CREATE FUNCTION ledger.position_at(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low    bigint := 0;
    high   bigint := (SELECT position FROM ledger.head);
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT recorded_at FROM ledger.events WHERE position = middle) <= moment THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
