-- What machines did, a row a sample.
CREATE TABLE host_metrics (
    host text NOT NULL,
    sampled_at timestamptz NOT NULL,
    cpu_percent double precision NOT NULL,
    cpu_count double precision NOT NULL,
    load1 double precision NOT NULL,
    load5 double precision NOT NULL,
    load15 double precision NOT NULL,
    memory_used_bytes bigint NOT NULL,
    memory_total_bytes bigint NOT NULL,
    swap_used_bytes bigint NOT NULL,
    swap_total_bytes bigint NOT NULL,
    network_received_bytes_per_second double precision,
    network_sent_bytes_per_second double precision,
    PRIMARY KEY (sampled_at, host)
) PARTITION BY RANGE (sampled_at);

CREATE TABLE host_disks (
    host text NOT NULL,
    sampled_at timestamptz NOT NULL,
    mount text NOT NULL,
    file_system text NOT NULL,
    used_bytes bigint NOT NULL,
    total_bytes bigint NOT NULL,
    PRIMARY KEY (sampled_at, host, mount)
) PARTITION BY RANGE (sampled_at);
