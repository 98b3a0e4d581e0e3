-- What exporters send and Dogwatch refuses, by reason and service, so that each process and the command line can say it.
CREATE TABLE export_refusals (
    reason text NOT NULL,
    -- Empty: of a request that nobody could read.
    service text NOT NULL,
    -- Exports of which something was refused.
    exports bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    -- About the last of them.
    message text NOT NULL,
    PRIMARY KEY (reason, service)
);
CREATE INDEX export_refusals_last ON export_refusals (last_at);
