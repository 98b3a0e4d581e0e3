-- Degraded is between healthy and unhealthy; each service is checked in its own time.
ALTER TABLE service_health
    ADD COLUMN next_check_at timestamptz,
    DROP CONSTRAINT service_health_state_check,
    ADD CONSTRAINT service_health_state_check CHECK (state IN ('unknown', 'healthy', 'degraded', 'unhealthy'));
CREATE INDEX service_health_due ON service_health (next_check_at);

-- How many checks of an hour found it up: uptime over any days without reading every check.
CREATE TABLE service_uptime (
    service text NOT NULL,
    hour timestamptz NOT NULL,
    checks integer NOT NULL,
    up integer NOT NULL,
    PRIMARY KEY (service, hour)
);

-- Services that tell of themselves.
CREATE TABLE heartbeats (
    name text PRIMARY KEY,
    last_at timestamptz NOT NULL,
    beats bigint NOT NULL DEFAULT 1
);

-- What was tried to bring a service back.
CREATE TABLE recovery_attempts (
    id uuid PRIMARY KEY,
    service text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- `command` or `webhook`
    kind text NOT NULL,
    -- Whether the action itself came to its end, not whether the service is back.
    done boolean,
    error text,
    -- When the check found the service well again afterwards.
    recovered_at timestamptz
);
CREATE INDEX recovery_attempts_of ON recovery_attempts (service, began_at DESC);
