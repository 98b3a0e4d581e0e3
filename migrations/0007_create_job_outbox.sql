-- Jobs that a service enqueues inside its own transaction:
--
--     SELECT dogwatch.enqueue('cleanup_old_performance_data', '{"days": 30}');
--
-- The row is kept or lost with the transaction. After the commit a relay moves it to Redis, once.
--
-- In a schema of its own, and not beside our other tables: whoever calls shares the database with us, and functions that
-- run with our rights have to name what they touch, wherever `search_path` has put the rest.
DO $$
BEGIN
    -- Whoever may not make schemas has it made for him. IF NOT EXISTS would ask for the right all the same.
    IF to_regnamespace('dogwatch') IS NULL THEN
        CREATE SCHEMA dogwatch;
    END IF;
END
$$;
-- To see names, not more. A service needs one right: GRANT EXECUTE ON FUNCTION dogwatch.enqueue TO its_role.
GRANT USAGE ON SCHEMA dogwatch TO PUBLIC;

CREATE SEQUENCE dogwatch.job_outbox_numbers AS bigint;

CREATE TABLE dogwatch.job_outbox (
    -- The order of commits; see number_outbox_job.
    number bigint PRIMARY KEY DEFAULT nextval('dogwatch.job_outbox_numbers'),
    -- What a queue can make no dead letter of. All else that is wrong becomes one.
    id text NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 200),
    queue text NOT NULL CHECK (queue ~ '^[A-Za-z0-9_.-]{1,100}$'),
    job text NOT NULL,
    -- JSON. As text: nobody looks into it here, and its length is known without reading it.
    args text NOT NULL,
    -- When it is due; NULL: at once. The other options: NULL where the caller leaves it to the job.
    run_at timestamptz,
    max_attempts integer,
    timeout_ms bigint,
    priority smallint,
    unique_key text,
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER SEQUENCE dogwatch.job_outbox_numbers OWNED BY dogwatch.job_outbox.number;

-- What the relays are at: one row. A batch is written down and committed before its first job is sent, so that whoever
-- comes after a crash sends the same jobs under the same positions, and Redis takes none twice.
CREATE TABLE dogwatch.job_outbox_relay (
    is_the_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_row),
    -- Numbers of the jobs that are under way, in their order; empty: none.
    batch bigint[] NOT NULL DEFAULT '{}',
    -- Position of the last job of the last batch.
    position bigint NOT NULL DEFAULT 0,
    claimed_by text,
    -- When another relay may take over.
    claimed_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO dogwatch.job_outbox_relay DEFAULT VALUES;

-- Runs in each transaction that has enqueued, as a part of its commit. It makes numbers follow commits: a transaction
-- that commits after another has committed has the higher ones. A number that is still the last one drawn does so anyway.
-- No lock is held for that, so that commits neither wait for each other nor can deadlock: of two that overlap, either
-- may be the first, and a number may become visible after a higher one. The relay can bear that.
CREATE FUNCTION dogwatch.number_outbox_job() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- A plan that was made when the table was empty would read all of it for each row of a big transaction. To forbid that
-- makes the other query, which reads a sequence, look so dear that it would be compiled each time.
SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    IF NEW.number <> (SELECT last_value FROM dogwatch.job_outbox_numbers) THEN
        UPDATE dogwatch.job_outbox SET number = nextval('dogwatch.job_outbox_numbers') WHERE number = NEW.number;
    END IF;
    -- A relay with nothing to do holds this lock and waits to be woken; then nothing can be missed, because it takes the
    -- lock, looks, and only then waits. One that is at work looks again by itself: NOTIFY makes the commits of a whole
    -- server queue up, so it is not for busy times.
    IF NOT pg_try_advisory_xact_lock_shared(hashtext('dogwatch job outbox'), 0) THEN
        PERFORM pg_notify('dogwatch_job_outbox', '');
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER job_outbox_number AFTER INSERT ON dogwatch.job_outbox
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dogwatch.number_outbox_job();

-- Enqueues a job when the caller's transaction commits. Returns the job's id. What is certainly wrong is refused here, in
-- that transaction; whether the job exists and its arguments fit is known to the workers: if not, it is a dead letter.
CREATE FUNCTION dogwatch.enqueue(
    job text,
    args jsonb DEFAULT '{}',
    queue text DEFAULT 'default',
    -- From now on; not from the commit.
    delay interval DEFAULT NULL,
    -- Of this and `delay`, the later holds.
    run_at timestamptz DEFAULT NULL,
    -- An id that is in the queue already is not enqueued again.
    id text DEFAULT NULL,
    max_attempts integer DEFAULT NULL,
    timeout interval DEFAULT NULL,
    -- 0 (first) to 9 (last).
    priority integer DEFAULT NULL,
    -- While a job with this key has not ended, another one is not enqueued.
    unique_key text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_a_name CONSTANT text := '^[A-Za-z0-9_.-]{1,100}$';
    name_hint CONSTANT text := 'A name has 1 to 100 letters, digits, "_", "-" or ".".';
    length_hint CONSTANT text := 'It has 1 to 200 bytes.';
    longest CONSTANT interval := '87600 hours';
    asked_at CONSTANT timestamptz := clock_timestamp();
    due timestamptz := greatest(run_at, asked_at + delay);
    -- What is wrong: the parameter, its value, what would be right.
    wrong text[];
BEGIN
    wrong := CASE
        WHEN job IS NULL OR job !~ of_a_name THEN ARRAY['job', job, name_hint]
        WHEN args IS NULL OR jsonb_typeof(args) <> 'object'
            THEN ARRAY['args', args::text, 'Arguments are a JSON object, such as {"days": 30}.']
        -- A job in Redis has 256 KiB, with its options.
        WHEN octet_length(args::text) > 250000
            THEN ARRAY['args', args::text, '250000 bytes are allowed: put big things elsewhere, and enqueue where they are.']
        WHEN queue !~ of_a_name THEN ARRAY['queue', queue, name_hint]
        WHEN NOT delay BETWEEN interval '0' AND longest THEN ARRAY['delay', delay::text, 'It is zero to ten years.']
        WHEN NOT isfinite(run_at) OR run_at >= timestamptz '10000-01-01 00:00:00Z'
            THEN ARRAY['run_at', run_at::text, 'It is a time before the year 10000.']
        WHEN octet_length(id) NOT BETWEEN 1 AND 200 THEN ARRAY['id', id, length_hint]
        WHEN max_attempts NOT BETWEEN 1 AND 1000 THEN ARRAY['max_attempts', max_attempts::text, 'It is from 1 to 1000.']
        WHEN timeout <= interval '0' OR timeout > longest
            THEN ARRAY['timeout', timeout::text, 'It is more than zero, and at most ten years.']
        WHEN priority NOT BETWEEN 0 AND 9 THEN ARRAY['priority', priority::text, 'It is from 0 (first) to 9 (last).']
        WHEN octet_length(unique_key) NOT BETWEEN 1 AND 200 THEN ARRAY['unique_key', unique_key, length_hint]
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('dogwatch.enqueue: %s cannot be %s', wrong[1], coalesce(quote_literal(left(wrong[2], 100)), 'NULL')),
            HINT = wrong[3];
    END IF;
    -- A UUID of version 7, which sorts by its time, like all ids of ours.
    id := coalesce(id, encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM asked_at) * 1000)::bigint) FROM 3) FROM 1 FOR 6
    ), 52, 1), 53, 1), 'hex')::uuid::text);
    -- Where the caller has made all constraints immediate, the number would be given now.
    SET CONSTRAINTS dogwatch.job_outbox_number DEFERRED;
    INSERT INTO dogwatch.job_outbox (id, queue, job, args, run_at, max_attempts, timeout_ms, priority, unique_key)
    VALUES (
        id, coalesce(queue, 'default'), job, args::text, CASE WHEN due > asked_at THEN due END,
        max_attempts, ceil(extract(epoch FROM timeout) * 1000), priority, unique_key
    );
    RETURN id;
END
$$;

-- Not for everybody: whoever may call it, may run jobs.
REVOKE ALL ON FUNCTION dogwatch.enqueue FROM PUBLIC;
REVOKE ALL ON FUNCTION dogwatch.number_outbox_job FROM PUBLIC;

-- A role that is named dogwatch, as many are, finds this schema before `public` from now on. What later migrations make
-- in this session belongs to where the other tables are; Store::connect sees to that in all other sessions.
SELECT set_config('search_path', quote_ident(nspname), false)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = 'performance_alerts'::regclass;
