-- The life of an alert (crates/alerting/src/life.rs), who has seen it, and its history.
ALTER TABLE performance_alerts
    ADD COLUMN tenant text,
    ADD COLUMN labels jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN pending_since timestamptz,
    ADD COLUMN calm_since timestamptz,
    ADD COLUMN raised_at timestamptz,
    ADD COLUMN reopened integer NOT NULL DEFAULT 0,
    ADD COLUMN changes timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN is_flapping boolean NOT NULL DEFAULT false,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN note text,
    DROP CONSTRAINT performance_alerts_status_check,
    ADD CONSTRAINT performance_alerts_status_check
        CHECK (status IN ('pending', 'active', 'acknowledged', 'resolved'));
UPDATE performance_alerts SET raised_at = first_seen_at WHERE raised_at IS NULL;
-- The one that was resolved last.
CREATE INDEX performance_alerts_fingerprint ON performance_alerts (fingerprint, resolved_at DESC);

CREATE TABLE alert_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES performance_alerts (id) ON DELETE CASCADE,
    occurred_at timestamptz NOT NULL,
    event text NOT NULL,
    value double precision,
    -- Who did it, where a person did.
    actor text,
    note text
);
CREATE INDEX alert_events_of ON alert_events (alert_id, id);

-- What people do not want to hear of for a while.
CREATE TABLE silences (
    id uuid PRIMARY KEY,
    matcher jsonb NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_by text NOT NULL,
    comment text NOT NULL
);
CREATE INDEX silences_end ON silences (ends_at);

-- Every evaluation of a rule: a row per rule and window, whatever it came to.
CREATE TABLE rule_evaluations (
    rule text NOT NULL,
    evaluated_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('ok', 'no_data', 'error', 'breach')),
    -- Of so many figures each.
    breaching integer NOT NULL,
    well integer NOT NULL,
    without_data integer NOT NULL,
    -- The figure that was farthest off, and of what it was.
    worst_value double precision,
    worst_scope text,
    error text,
    took_ms double precision NOT NULL,
    PRIMARY KEY (evaluated_at, rule)
) PARTITION BY RANGE (evaluated_at);
CREATE INDEX rule_evaluations_rule ON rule_evaluations (rule, evaluated_at DESC);
