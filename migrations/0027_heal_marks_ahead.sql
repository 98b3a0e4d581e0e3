-- A cleanup by a machine whose clock was ahead has set these marks into the future, and no rollup was made from then on.
UPDATE kept_since
SET since = coalesce(
    (
        SELECT min(to_date(right(relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC'
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = to_regclass(table_name) AND relname ~ '_[0-9]{8}$'
    ),
    date_trunc('day', now(), 'UTC')
)
WHERE since > now();

-- The same of other marks that such a machine has set.
UPDATE trend_progress SET analysed_through = now() WHERE analysed_through > now();
UPDATE heartbeats SET last_at = now() WHERE last_at > now();
UPDATE service_health SET next_check_at = NULL WHERE next_check_at > now() + interval '1 day';
