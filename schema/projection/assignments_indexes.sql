-- By subject, for look-ups; by position, which is the order of the rows on disk, for ranges.
ALTER TABLE assignments
    ADD CONSTRAINT assignments_subject PRIMARY KEY (subject_id, experiment_id);
CREATE INDEX assignments_position ON assignments USING brin (position);
