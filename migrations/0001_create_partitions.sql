-- Raw data is partitioned by day: retention drops a partition, it does not delete rows.

-- Makes sure that a table has a partition for a day. Safe to call from many sessions at once.
-- A table is made and then attached, because ATTACH, unlike CREATE … PARTITION OF, does not block readers and writers.
-- A day that was detached and not dropped (the process died in between, or something depends on it) is attached again:
-- its rows would be refused for good otherwise, and retention takes it the next time.
CREATE FUNCTION create_day_partition(parent text, day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    child text := parent || '_' || to_char(day, 'YYYYMMDD');
    attached boolean;
BEGIN
    PERFORM FROM pg_inherits WHERE inhrelid = to_regclass(child) AND inhparent = to_regclass(parent);
    IF FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('dogwatch partitions'), hashtext(parent));
    -- Whoever held the lock may have made it. A query sees that; to_regclass would answer from this session's cache.
    SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid) INTO attached
    FROM pg_class
    WHERE relname = child AND relnamespace = current_schema()::regnamespace;
    IF attached THEN
        RETURN false;
    END IF;
    IF attached IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
    END IF;
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, child,
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
    );
    -- It is no longer on its way out, should someone detach it to keep it.
    EXECUTE format('COMMENT ON TABLE %I IS NULL', child);
    RETURN true;
END
$$;
