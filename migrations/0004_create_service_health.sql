-- How each service is now.
CREATE TABLE service_health (
    service text PRIMARY KEY,
    kind text NOT NULL,
    -- For people: without passwords.
    target text NOT NULL,
    state text NOT NULL CHECK (state IN ('unknown', 'healthy', 'unhealthy')),
    state_since timestamptz NOT NULL,
    consecutive_failures integer NOT NULL,
    consecutive_successes integer NOT NULL,
    last_checked_at timestamptz NOT NULL,
    last_ok_at timestamptz,
    response_time_ms double precision,
    error text
);

-- How it was.
CREATE TABLE service_health_checks (
    service text NOT NULL,
    checked_at timestamptz NOT NULL,
    ok boolean NOT NULL,
    state text NOT NULL,
    response_time_ms double precision NOT NULL,
    error text
) PARTITION BY RANGE (checked_at);

CREATE INDEX service_health_checks_service ON service_health_checks (service, checked_at);
