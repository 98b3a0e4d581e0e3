-- What watched databases say of their queries themselves (pg_stat_statements), by our fingerprint: what was added since the
-- look before.
CREATE TABLE query_statistics (
    -- Of the look; what is told lies between it and the one before.
    occurred_at timestamptz NOT NULL,
    -- As the configuration names it.
    database text NOT NULL,
    fingerprint bigint NOT NULL,
    calls bigint NOT NULL,
    rows bigint NOT NULL,
    execution_time_ms double precision NOT NULL,
    -- Blocks of 8 KiB that were found in memory, and those that were not.
    blocks_hit bigint NOT NULL,
    blocks_read bigint NOT NULL,
    PRIMARY KEY (occurred_at, database, fingerprint)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX query_statistics_fingerprint ON query_statistics (fingerprint, occurred_at);

-- What each watched database said last: its counters only grow, until someone sets them back.
CREATE TABLE query_counters (
    database text NOT NULL,
    -- By its own count: different statements may have one fingerprint.
    query_id bigint NOT NULL,
    calls bigint NOT NULL,
    rows bigint NOT NULL,
    execution_time_ms double precision NOT NULL,
    blocks_hit bigint NOT NULL,
    blocks_read bigint NOT NULL,
    looked_at timestamptz NOT NULL,
    PRIMARY KEY (database, query_id)
) WITH (fillfactor = 70);
