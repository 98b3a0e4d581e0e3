-- Calls of databases and caches, as the spans of services tell of them. Kept for days only: requests, slow queries and
-- rollups hold what they come to.
CREATE TABLE database_spans (
    -- When it ended.
    occurred_at timestamptz NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    service text NOT NULL,
    tenant text,
    -- `postgresql`, `redis`, …
    system text NOT NULL,
    fingerprint bigint NOT NULL,
    -- Of the query, with the endpoint that it was made for where that is known.
    series_id integer NOT NULL,
    duration_ms double precision NOT NULL,
    is_error boolean NOT NULL,
    -- Part of another span of the same query: a library and the driver below it both tell. Counts nowhere.
    is_nested boolean NOT NULL,
    -- Of a lookup in a cache. NULL: not told.
    cache_hit boolean,
    PRIMARY KEY (trace_id, span_id, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- A minute at a time becomes a rollup.
CREATE INDEX database_spans_time ON database_spans (occurred_at);

-- The text of each query, once.
CREATE TABLE query_texts (
    fingerprint bigint PRIMARY KEY,
    system text NOT NULL,
    -- Without literals.
    text text NOT NULL,
    summary text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    -- To the minute or so.
    last_seen_at timestamptz NOT NULL
) WITH (fillfactor = 80);

-- A text is kept of what has a series, whose number is bounded.
CREATE INDEX metric_series_fingerprint ON metric_series (fingerprint) WHERE fingerprint IS NOT NULL;

-- Calls past the threshold.
CREATE TABLE slow_queries (
    occurred_at timestamptz NOT NULL,
    -- As in performance_metrics.
    span_key bigint NOT NULL,
    fingerprint bigint NOT NULL,
    tenant text,
    service text NOT NULL,
    -- Of the request that it was made for. NULL: not known, or not yet.
    method text,
    endpoint text,
    system text NOT NULL,
    execution_time_ms double precision NOT NULL,
    rows_returned bigint,
    trace_id text,
    error text
) PARTITION BY RANGE (occurred_at);

CREATE UNIQUE INDEX slow_queries_once ON slow_queries (occurred_at, span_key);
-- The slowest of a query is its example.
CREATE INDEX slow_queries_fingerprint ON slow_queries (fingerprint, execution_time_ms);

-- The same query many times in one request (N+1): a row for each such request and query.
CREATE TABLE repeated_queries (
    -- Of the request.
    occurred_at timestamptz NOT NULL,
    span_key bigint NOT NULL,
    fingerprint bigint NOT NULL,
    tenant text,
    service text NOT NULL,
    method text NOT NULL,
    endpoint text NOT NULL,
    calls integer NOT NULL,
    total_ms double precision NOT NULL,
    trace_id text,
    PRIMARY KEY (occurred_at, span_key, fingerprint)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX repeated_queries_fingerprint ON repeated_queries (fingerprint, occurred_at);

-- Traces with calls whose request came, or comes, in another batch. Rows are only added and taken, so that writers do not
-- wait for each other.
CREATE TABLE open_traces (
    trace_id uuid NOT NULL,
    -- By the clock of this database.
    next_try_at timestamptz NOT NULL DEFAULT now() + interval '2 seconds',
    tries smallint NOT NULL DEFAULT 0
);
CREATE INDEX open_traces_next ON open_traces (next_try_at);
ALTER TABLE open_traces SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
