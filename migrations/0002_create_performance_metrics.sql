-- Requests that services have answered. What no one sent is NULL, not 0.
CREATE SEQUENCE performance_metric_ids AS bigint CACHE 100;

CREATE TABLE performance_metrics (
    id bigint NOT NULL DEFAULT nextval('performance_metric_ids'),
    occurred_at timestamptz NOT NULL,
    tenant text,
    service text NOT NULL,
    endpoint text NOT NULL,
    method text NOT NULL,
    status_code smallint NOT NULL CHECK (status_code BETWEEN 100 AND 599),
    response_time_ms double precision NOT NULL CHECK (response_time_ms >= 0),
    user_id text,
    client_address text,
    trace_id text,
    db_query_count integer,
    db_query_time_ms double precision,
    cache_hits integer,
    cache_misses integer,
    cpu_percent double precision,
    memory_percent double precision,
    error text,
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

-- Windows over everything, and over one service, read the index alone.
CREATE INDEX performance_metrics_window
    ON performance_metrics (occurred_at) INCLUDE (service, method, endpoint, status_code, response_time_ms);
-- The slowest requests of a window.
CREATE INDEX performance_metrics_slow ON performance_metrics (response_time_ms DESC, occurred_at);
