-- How far the projections have read, moved in the transaction that writes their rows.
CREATE TABLE checkpoint (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position   bigint  NOT NULL,
    -- Names the definition the rows were built by; another one means building them anew.
    definition text    NOT NULL
);
