CREATE TABLE performance_alerts (
    id uuid PRIMARY KEY,
    -- Which condition: the same one has the same fingerprint, whoever finds it.
    fingerprint text NOT NULL,
    alert_type text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    title text NOT NULL,
    description text NOT NULL,
    service text,
    endpoint text,
    host text,
    value double precision,
    threshold double precision,
    unit text,
    status text NOT NULL CHECK (status IN ('active', 'acknowledged', 'resolved')),
    occurrences bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    resolved_at timestamptz
);

-- One open alert per condition, however many checkers run.
CREATE UNIQUE INDEX performance_alerts_open ON performance_alerts (fingerprint) WHERE status <> 'resolved';
CREATE INDEX performance_alerts_recent ON performance_alerts (last_seen_at DESC);

-- The outbox: what has to be told to whom. Written in the transaction that changes the alert.
CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES performance_alerts (id) ON DELETE CASCADE,
    event text NOT NULL CHECK (event IN ('raised', 'resolved')),
    channel text NOT NULL,
    -- The alert as it was at the event.
    snapshot jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- Claimed, or failed: not to be tried before.
    not_before timestamptz NOT NULL,
    last_error text,
    delivered_at timestamptz,
    -- Given up: its channel is gone.
    abandoned_at timestamptz,
    UNIQUE (alert_id, event, channel)
);

CREATE INDEX notifications_waiting ON notifications (id) WHERE delivered_at IS NULL AND abandoned_at IS NULL;
