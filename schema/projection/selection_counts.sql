-- How many runs each variant of each definition was given, by day (UTC).
CREATE TABLE selection_counts (
    function_id     text    COLLATE "C" NOT NULL,
    experiment_name text    COLLATE "C" NOT NULL,
    definition      integer NOT NULL,
    variant         text    COLLATE "C" NOT NULL,
    day             date    NOT NULL,
    runs            bigint  NOT NULL,
    PRIMARY KEY (function_id, experiment_name, definition, variant, day)
);
