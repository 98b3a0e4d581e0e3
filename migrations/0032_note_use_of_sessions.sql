-- A session ends when it is not used for a week, and can be listed and ended by an administrator.
ALTER TABLE sessions
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now(),
    -- Where the browser was when it signed in.
    ADD COLUMN address text;
CREATE INDEX sessions_key ON sessions (key_id, created_at);
