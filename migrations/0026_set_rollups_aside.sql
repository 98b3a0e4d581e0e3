-- Buckets that could not be made. Each waits, longer each time, so that it holds up no other.
CREATE TABLE rollup_failures (
    resolution smallint NOT NULL,
    subject text NOT NULL,
    bucket timestamptz NOT NULL,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (resolution, subject, bucket)
);
