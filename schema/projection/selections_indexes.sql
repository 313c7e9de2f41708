-- By run, for look-ups; by position, which is the order of the rows on disk, for ranges.
ALTER TABLE selections
    ADD CONSTRAINT selections_run PRIMARY KEY (run_id, function_id, experiment_name);
CREATE INDEX selections_position ON selections USING brin (position);
