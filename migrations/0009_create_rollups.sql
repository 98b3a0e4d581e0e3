-- What happened per minute, hour and day, and series. Everything over a window is read from here. A minute is made from
-- the raw rows, an hour from its minutes, a day from its hours, always as a whole: late rows, rows that came twice and
-- two workers at once come to the same.
CREATE TABLE rollups (
    -- Minutes in a bucket: 1, 60 or 1440.
    resolution smallint NOT NULL,
    subject text NOT NULL,
    bucket timestamptz NOT NULL,
    series_id integer NOT NULL,
    count bigint NOT NULL,
    errors bigint NOT NULL,
    sum_ms double precision NOT NULL,
    -- Of the squares, for the standard deviation.
    sum_squares_ms double precision NOT NULL,
    min_ms double precision NOT NULL,
    max_ms double precision NOT NULL,
    -- Database queries and their time. NULL: no request told.
    db_query_count bigint,
    db_query_time_ms double precision,
    -- The time of the requests that told.
    db_told_ms double precision,
    cache_hits bigint,
    cache_misses bigint,
    -- How many took how long; crates/store/src/sketch.rs.
    sketch bytea NOT NULL,
    PRIMARY KEY (resolution, subject, bucket, series_id)
) PARTITION BY LIST (resolution);

CREATE TABLE rollups_minute PARTITION OF rollups FOR VALUES IN (1) PARTITION BY RANGE (bucket);
-- Few rows: old ones are deleted. Those of the present bucket are written anew all the time, in their place if it has room.
CREATE TABLE rollups_hour PARTITION OF rollups FOR VALUES IN (60) WITH (fillfactor = 70);
CREATE TABLE rollups_day PARTITION OF rollups FOR VALUES IN (1440) WITH (fillfactor = 70);

-- Buckets that have to be made anew. Rows are written in the transaction that stores the data, and are removed in the one
-- that makes the bucket. No unique key: writers must not wait for each other.
CREATE TABLE rollup_backlog (
    resolution smallint NOT NULL,
    subject text NOT NULL,
    bucket timestamptz NOT NULL
);
CREATE INDEX rollup_backlog_buckets ON rollup_backlog (resolution, subject, bucket);
ALTER TABLE rollup_backlog SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- Since when a table is whole. What is older must not be made anew from what is left.
CREATE TABLE kept_since (
    table_name text PRIMARY KEY,
    since timestamptz NOT NULL
);

-- What is there already.
SELECT create_day_partition('performance_metrics', day::date), create_day_partition('rollups_minute', day::date)
FROM (SELECT DISTINCT (occurred_at AT TIME ZONE 'UTC')::date AS day FROM performance_metrics) AS days;

UPDATE performance_metrics
SET series_id = metric_series_id('request', service, tenant, method, endpoint, NULL, 1000),
    span_key = hashtextextended(ctid::text, 0)
WHERE series_id IS NULL;

INSERT INTO rollup_backlog
SELECT DISTINCT 1, 'request', date_trunc('minute', occurred_at) FROM performance_metrics;
