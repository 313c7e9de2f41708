-- The log and what guards it. Nothing outside this schema is ever needed to know what is true.
CREATE SCHEMA ledger;
