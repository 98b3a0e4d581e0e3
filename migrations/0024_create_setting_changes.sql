-- Settings that people have changed while Dogwatch runs, each change a row: the last one of a name counts. Few rows, ever.
CREATE TABLE setting_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    -- NULL: what the configuration file says counts again.
    value jsonb,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX setting_changes_last ON setting_changes (name, id DESC);
