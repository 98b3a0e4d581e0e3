-- A request is stored once, however often an exporter sends it; and it belongs to a series, of which rollups are kept.

-- What is measured over time: the requests of an endpoint, or the calls of a query. A dictionary, so that rollups are
-- narrow; and the place where their number is bounded.
CREATE TABLE metric_series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL CHECK (subject IN ('request', 'query')),
    service text NOT NULL,
    tenant text,
    -- Of a query: of the request that it was made for, where that is known.
    method text,
    endpoint text,
    -- Of the query; see query_texts.
    fingerprint bigint,
    CHECK (subject = 'query' OR (method IS NOT NULL AND endpoint IS NOT NULL)),
    UNIQUE NULLS NOT DISTINCT (service, subject, tenant, method, endpoint, fingerprint)
);

-- The series of this key; made when there is none. A service has `most` series of a subject, and there are a thousand
-- services: what comes beyond that is counted as `(other)`.
CREATE FUNCTION metric_series_id(
    of_subject text, of_service text, of_tenant text, of_method text, of_endpoint text, of_fingerprint bigint, most bigint
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    series integer;
BEGIN
    SELECT id INTO series FROM metric_series
    WHERE service = of_service AND subject = of_subject AND tenant IS NOT DISTINCT FROM of_tenant
      AND method IS NOT DISTINCT FROM of_method AND endpoint IS NOT DISTINCT FROM of_endpoint
      AND fingerprint IS NOT DISTINCT FROM of_fingerprint;
    IF FOUND THEN
        RETURN series;
    END IF;
    -- One at a time, or two would make the last one each.
    PERFORM pg_advisory_xact_lock(hashtext('dogwatch series'));
    IF NOT EXISTS (SELECT FROM metric_series WHERE service = of_service)
       AND (SELECT count(DISTINCT service) FROM metric_series) >= 1000 THEN
        of_service := '(other)';
    END IF;
    IF (SELECT count(*) FROM metric_series WHERE service = of_service AND subject = of_subject) >= most THEN
        IF NOT EXISTS (SELECT FROM metric_series WHERE service = of_service AND tenant = of_tenant) THEN
            of_tenant := NULL;
        END IF;
        IF of_subject = 'request' THEN
            of_method := '(other)';
            of_endpoint := '(other)';
        ELSE
            of_method := NULL;
            of_endpoint := NULL;
            of_fingerprint := NULL;
        END IF;
    END IF;
    INSERT INTO metric_series (subject, service, tenant, method, endpoint, fingerprint)
    VALUES (of_subject, of_service, of_tenant, of_method, of_endpoint, of_fingerprint)
    ON CONFLICT DO NOTHING
    RETURNING id INTO series;
    IF series IS NULL THEN
        SELECT id INTO series FROM metric_series
        WHERE service = of_service AND subject = of_subject AND tenant IS NOT DISTINCT FROM of_tenant
          AND method IS NOT DISTINCT FROM of_method AND endpoint IS NOT DISTINCT FROM of_endpoint
          AND fingerprint IS NOT DISTINCT FROM of_fingerprint;
    END IF;
    RETURN series;
END
$$;

ALTER TABLE performance_metrics
    -- Made of trace and span id; a random number for who sends none.
    ADD COLUMN span_key bigint,
    -- NULL: stored by a version before this one. `dogwatch rollups rebuild` gives such rows their series.
    ADD COLUMN series_id integer,
    -- NULL: as the status says.
    ADD COLUMN is_error boolean,
    -- A client that went away got none.
    ALTER COLUMN status_code DROP NOT NULL,
    DROP CONSTRAINT performance_metrics_pkey,
    DROP COLUMN id;
DROP SEQUENCE performance_metric_ids;

CREATE UNIQUE INDEX performance_metrics_once ON performance_metrics (occurred_at, span_key);
-- Queries that come in another batch than their request look for it.
CREATE INDEX performance_metrics_trace ON performance_metrics (trace_id) WHERE trace_id IS NOT NULL;
-- The slowest requests of a window. A quick one is not among them by any setting.
DROP INDEX performance_metrics_slow;
CREATE INDEX performance_metrics_slow
    ON performance_metrics (response_time_ms, occurred_at, span_key) WHERE response_time_ms >= 50;
-- Windows are read from rollups.
DROP INDEX performance_metrics_window;
