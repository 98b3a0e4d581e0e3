-- Who did what, when and from where: sign-ins, refused keys, and what people change.
CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    -- The name of the key, or the user of the command line.
    actor text NOT NULL,
    -- Where from: the address of the client, or the host of the command line.
    address text,
    -- To what it was done.
    target text,
    -- More of it, such as the values that were set.
    details jsonb
);
CREATE INDEX audit_events_occurred ON audit_events (occurred_at);
