-- What trend analysis follows: one figure of one subject, in steps of five minutes.
CREATE TABLE trend_series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric text NOT NULL,
    -- What it is of, such as {"service": "shop", "endpoint": "POST /pay"}.
    scope jsonb NOT NULL,
    -- The detector as it was at a full hour; the steps since then bring it up to date. Packed.
    detector bytea,
    detector_at timestamptz,
    created_at timestamptz NOT NULL,
    UNIQUE (metric, scope)
) WITH (fillfactor = 70);
ALTER TABLE trend_series ALTER COLUMN detector SET STORAGE EXTERNAL;

-- Twelve figures, and of how many requests, calls or samples each is. NULL: nothing is known. An hour is a row so that the
-- past of a series is few rows.
CREATE TABLE trend_hours (
    series_id integer NOT NULL,
    hour timestamptz NOT NULL,
    figures real[] NOT NULL,
    counts real[] NOT NULL,
    PRIMARY KEY (series_id, hour)
) PARTITION BY RANGE (hour);

-- One row: up to where everything is analysed.
CREATE TABLE trend_progress (
    is_it boolean PRIMARY KEY DEFAULT true CHECK (is_it),
    analysed_through timestamptz NOT NULL
);

CREATE TABLE trend_findings (
    id uuid PRIMARY KEY,
    series_id integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('shift', 'anomaly', 'forecast')),
    state text NOT NULL CHECK (state IN ('open', 'recovered', 'superseded', 'settled')),
    metric text NOT NULL,
    scope jsonb NOT NULL,
    direction text NOT NULL CHECK (direction IN ('better', 'worse')),
    since timestamptz NOT NULL,
    -- It began between these, with a probability of 95 %.
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    before double precision NOT NULL,
    after double precision NOT NULL,
    change_percent double precision,
    -- 0 to 1.
    confidence double precision NOT NULL,
    -- Seconds that users lose, or win, in an hour.
    effect_s_per_hour double precision NOT NULL,
    -- Of a forecast: when the limit is met, and between when and when.
    limit_at timestamptz,
    limit_earliest timestamptz,
    limit_latest timestamptz,
    -- What it comes from, as far as is known.
    cause jsonb NOT NULL,
    -- The one that stands for all with the same cause; itself, where it is that.
    group_id uuid NOT NULL,
    found_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE UNIQUE INDEX trend_findings_open ON trend_findings (series_id, kind) WHERE state = 'open';
-- What is open, and what ended lately.
CREATE INDEX trend_findings_ended ON trend_findings (ended_at);

-- Which version of a service was seen when: a change that comes with one is likely made by it.
CREATE TABLE service_versions (
    service text NOT NULL,
    version text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (service, version)
);
CREATE INDEX service_versions_recent ON service_versions (first_seen_at);

-- Windows compared with the one before; findings stand in their place.
DROP TABLE performance_trends;
