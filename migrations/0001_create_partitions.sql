-- Raw data is partitioned by day: retention drops a partition, it does not delete rows.

-- Makes sure that a table has a partition for a day. Safe to call from many sessions at once.
-- A table is made and then attached, because ATTACH, unlike CREATE … PARTITION OF, does not block readers and writers.
CREATE FUNCTION create_day_partition(parent text, day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    child text := parent || '_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(child) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('dogwatch partitions'), hashtext(parent));
    -- Whoever held the lock may have made it. A query sees that; to_regclass would answer from this session's cache.
    PERFORM FROM pg_class WHERE relname = child AND relnamespace = current_schema()::regnamespace;
    IF FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, child,
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
    );
    RETURN true;
END
$$;
