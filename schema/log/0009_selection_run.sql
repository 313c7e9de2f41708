-- Finds everything that a run selected: the run is the last part of its streams' names.
CREATE INDEX events_selection_run ON ledger.events (split_part(stream, '/', 4))
 WHERE version = 1 AND type = 'VariantSelected';
