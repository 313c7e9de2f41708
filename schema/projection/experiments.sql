-- Experiments as they are.
CREATE TABLE experiments (
    id               text        COLLATE "C" PRIMARY KEY,
    name             text,
    description      text,
    status           text        NOT NULL,
    lab_id           text        COLLATE "C" NOT NULL,
    subject_type_id  text        COLLATE "C" NOT NULL,
    hypothesis       text,
    links            json        NOT NULL,
    -- The winner last declared, also after the experiment has ended.
    winning_variant  text        COLLATE "C",
    ended_reason     text,
    resource_version bigint      NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    -- Whether the units of the experiment are tokens, not IDs.
    sealed           boolean     NOT NULL
);
