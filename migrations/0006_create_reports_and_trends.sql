CREATE TABLE performance_reports (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    body jsonb NOT NULL,
    text text NOT NULL
);
CREATE INDEX performance_reports_recent ON performance_reports (created_at DESC);

-- What has shifted from one window to the next. About an endpoint of a service, or about a host.
CREATE TABLE performance_trends (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    service text,
    method text,
    endpoint text,
    host text,
    metric text NOT NULL CHECK (metric IN ('response_time_ms', 'error_rate', 'cpu_percent', 'memory_percent')),
    before_mean double precision NOT NULL,
    after_mean double precision NOT NULL,
    before_count bigint NOT NULL,
    after_count bigint NOT NULL,
    change_percent double precision NOT NULL,
    direction text NOT NULL CHECK (direction IN ('better', 'worse')),
    -- How sure, in standard errors.
    score double precision NOT NULL
);
-- A window that is analysed twice is stored once.
CREATE UNIQUE INDEX performance_trends_once ON performance_trends (
    window_end, window_start, metric,
    coalesce(service, ''), coalesce(method, ''), coalesce(endpoint, ''), coalesce(host, '')
);
CREATE INDEX performance_trends_recent ON performance_trends (found_at DESC);
