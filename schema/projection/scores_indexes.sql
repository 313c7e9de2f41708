-- The scores of one name in the order of the log.
ALTER TABLE scores
    ADD CONSTRAINT scores_series PRIMARY KEY (function_id, experiment, name, position);
