-- The number of series is bounded for each sender, so that none takes the places of others, and places of names that are no
-- longer seen become free.
ALTER TABLE metric_series
    -- Who made it: the tenant of a key, or else the key. `key:`: nobody needed one, or a version before this one made it.
    ADD COLUMN owner text NOT NULL DEFAULT 'key:',
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- How many series each owner has that were seen lately. Made anew each day by cleanup; new ones are added at once.
CREATE TABLE series_counts (
    owner text NOT NULL,
    -- Empty: of all services of the owner.
    service text NOT NULL,
    -- `request` or `query`: series. `service`: services.
    subject text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (owner, service, subject)
);
INSERT INTO series_counts
SELECT owner, service, subject, count(*) FROM metric_series GROUP BY owner, service, subject;
INSERT INTO series_counts
SELECT owner, '', 'service', count(DISTINCT service) FROM metric_series GROUP BY owner
UNION ALL
SELECT owner, '', subject, count(*) FROM metric_series GROUP BY owner, subject;

-- Who has reached a limit, and when last: that is an alert.
CREATE TABLE series_limits_reached (
    owner text NOT NULL,
    -- Empty: the limit of services.
    service text NOT NULL,
    subject text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (owner, service, subject)
);

CREATE FUNCTION find_metric_series(
    of_subject text, of_service text, of_tenant text, of_method text, of_endpoint text, of_fingerprint bigint
) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT id FROM metric_series
    WHERE service = of_service AND subject = of_subject AND tenant IS NOT DISTINCT FROM of_tenant
      AND method IS NOT DISTINCT FROM of_method AND endpoint IS NOT DISTINCT FROM of_endpoint
      AND fingerprint IS NOT DISTINCT FROM of_fingerprint
$$;

-- The series of this key; made when there is none. Beyond `most` series of a subject and a service, `most_of_owner` of a
-- subject and `most_services`, what an owner sends is counted as `(other)`; then `is_other` is true. The cost does not
-- depend on how many there are.
CREATE FUNCTION metric_series_of(
    of_owner text, of_subject text, of_service text, of_tenant text, of_method text, of_endpoint text,
    of_fingerprint bigint, most bigint, most_of_owner bigint, most_services bigint,
    OUT id integer, OUT is_other boolean
) LANGUAGE plpgsql AS $$
DECLARE
    is_new_service boolean;
    reached text;
BEGIN
    is_other := false;
    id := find_metric_series(of_subject, of_service, of_tenant, of_method, of_endpoint, of_fingerprint);
    IF id IS NOT NULL THEN
        RETURN;
    END IF;
    -- One of an owner at a time, or two would make the last one each; none while they are counted anew.
    PERFORM pg_advisory_xact_lock_shared(hashtext('dogwatch series are counted'));
    PERFORM pg_advisory_xact_lock(hashtextextended(of_owner, 9));
    is_new_service := NOT EXISTS (SELECT FROM metric_series AS known WHERE known.service = of_service);
    IF is_new_service AND (
        SELECT count FROM series_counts WHERE owner = of_owner AND service = '' AND subject = 'service'
    ) >= most_services THEN
        reached := '';
        of_service := '(other)';
    END IF;
    IF reached IS NOT NULL
       OR (SELECT count FROM series_counts WHERE owner = of_owner AND service = of_service AND subject = of_subject) >= most
       OR (SELECT count FROM series_counts WHERE owner = of_owner AND service = '' AND subject = of_subject) >= most_of_owner
    THEN
        is_other := true;
        reached := coalesce(reached, of_service);
        -- Of each tenant one, as long as there are not too many tenants.
        IF (SELECT count FROM series_counts WHERE owner = of_owner AND service = of_service AND subject = of_subject) >= 2 * most
           OR (SELECT count FROM series_counts WHERE owner = of_owner AND service = '' AND subject = of_subject) >= 2 * most_of_owner
        THEN
            of_tenant := CASE WHEN of_owner LIKE 'tenant:%' THEN of_tenant END;
        END IF;
        IF of_subject = 'request' THEN
            of_method := '(other)';
            of_endpoint := '(other)';
        ELSE
            of_method := NULL;
            of_endpoint := NULL;
            of_fingerprint := NULL;
        END IF;
        INSERT INTO series_limits_reached AS known (owner, service, subject, last_at)
        VALUES (of_owner, reached, CASE WHEN reached = '' THEN 'service' ELSE of_subject END, clock_timestamp())
        ON CONFLICT (owner, service, subject) DO UPDATE SET last_at = excluded.last_at
            WHERE known.last_at < excluded.last_at - interval '1 minute';
    END IF;
    INSERT INTO metric_series (subject, service, tenant, method, endpoint, fingerprint, owner)
    VALUES (of_subject, of_service, of_tenant, of_method, of_endpoint, of_fingerprint, of_owner)
    ON CONFLICT DO NOTHING
    RETURNING metric_series.id INTO id;
    IF id IS NULL THEN
        id := find_metric_series(of_subject, of_service, of_tenant, of_method, of_endpoint, of_fingerprint);
        RETURN;
    END IF;
    INSERT INTO series_counts AS known (owner, service, subject, count)
    VALUES (of_owner, of_service, of_subject, 1), (of_owner, '', of_subject, 1)
    ON CONFLICT (owner, service, subject) DO UPDATE SET count = known.count + 1;
    IF is_new_service AND NOT is_other THEN
        INSERT INTO series_counts AS known (owner, service, subject, count)
        VALUES (of_owner, '', 'service', 1)
        ON CONFLICT (owner, service, subject) DO UPDATE SET count = known.count + 1;
    END IF;
END
$$;

-- As the version before calls it.
CREATE OR REPLACE FUNCTION metric_series_id(
    of_subject text, of_service text, of_tenant text, of_method text, of_endpoint text, of_fingerprint bigint, most bigint
) RETURNS integer
LANGUAGE sql AS $$
    SELECT id FROM metric_series_of(
        'key:', of_subject, of_service, of_tenant, of_method, of_endpoint, of_fingerprint, most, 50 * most, 1000
    )
$$;
