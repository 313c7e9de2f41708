-- Labs and subject types as they are.
CREATE TABLE groups (
    kind             text        COLLATE "C" NOT NULL,
    id               text        COLLATE "C" NOT NULL,
    name             text,
    description      text,
    status           text        NOT NULL,
    resource_version bigint      NOT NULL,
    created_at       timestamptz,
    updated_at       timestamptz,
    PRIMARY KEY (kind, id)
);
