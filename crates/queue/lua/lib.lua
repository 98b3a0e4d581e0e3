-- Put before every script of a queue. KEYS[1] is the queue's prefix, such as dogwatch:{default}; every key below
-- begins with it, and so lies in the same slot of a cluster:
--   data         HASH  id -> payload                            apalis-redis: job_data_hash
--   active       LIST  ids that are ready, oldest first         apalis-redis: active_jobs_list
--   prioritized  ZSET  ready ids of another priority than 5, by priority, then by order
--   scheduled    ZSET  id by time due, in SECONDS as apalis-redis has them, with our milliseconds behind the point
--   retrying     SET   those of scheduled that wait for another attempt
--   leases       ZSET  id by time the lease ends, in ms
--   parked       HASH  id -> the limit that it waits for
--   done         ZSET  id by time ended, in ms: succeeded, cancelled, expired
--   dead         ZSET  the same, for dead letters
--   meta:ID      HASH  what is known of a job                   apalis-redis: job_meta_hash
--   control      HASH  paused; order (counter for prioritized)
--   slots        HASH  what the scheduler enqueued last
--   relayed      HASH  source -> last position of its outbox
--   unique:KEY   STRING  id of the job that holds the key
--   holders:L    ZSET  jobs that run under limit L              waiting:L  LIST of those that wait for it
--   rate:L       LIST  times of the last permits of L, in ms
--   claim:W      STRING  the last claim of worker W: its nonce and ids
--   stats:M      HASH  what ended in minute M
-- A job is in exactly one of active, prioritized, scheduled, leases, parked, done, dead. Time is always Redis's own.

local Q = KEYS[1]
local DATA, ACTIVE, PRIORITIZED, SCHEDULED = Q .. ':data', Q .. ':active', Q .. ':prioritized', Q .. ':scheduled'
local RETRYING, LEASES, PARKED, DONE, DEAD = Q .. ':retrying', Q .. ':leases', Q .. ':parked', Q .. ':done', Q .. ':dead'
local CONTROL, SLOTS, RELAYED, META = Q .. ':control', Q .. ':slots', Q .. ':relayed', Q .. ':meta:'
local NORMAL = 5

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A float in Lua 5.1 prints as 1.7e+12; Redis and people want 1700000000000.
local function int(n) return string.format('%.0f', n) end

-- The fields of a job, as a table.
local function read(id)
  local flat, fields = redis.call('HGETALL', META .. id), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function schedule(id, due)
  redis.call('ZADD', SCHEDULED, string.format('%.3f', due / 1000), id)
end

-- Takes a job out again. Returns 1, or 0 when it was not there.
local function unschedule(id)
  redis.call('SREM', RETRYING, id)
  return redis.call('ZREM', SCHEDULED, id)
end

-- Workers that wait, wait for an element of `active`: an empty id wakes them for what is not there.
local function wake()
  if redis.call('LLEN', ACTIVE) == 0 then redis.call('RPUSH', ACTIVE, '') end
end

-- Makes a job ready; in front, when it had its turn before.
local function ready(id, priority, in_front)
  priority = tonumber(priority) or NORMAL
  if priority == NORMAL then
    redis.call(in_front and 'LPUSH' or 'RPUSH', ACTIVE, id)
  else
    local order = in_front and 0 or redis.call('HINCRBY', CONTROL, 'order', 1)
    redis.call('ZADD', PRIORITIZED, int(priority * 2 ^ 44 + order), id)
    wake()
  end
end

-- Gives a unique key back, when this job holds it.
local function free_key(id, key)
  if key and redis.call('GET', Q .. ':unique:' .. key) == id then redis.call('DEL', Q .. ':unique:' .. key) end
end

-- Gives a limit's place back; the next that waits takes it over at once, so that no newcomer gets in between.
local function free_place(id, limit)
  redis.call('ZREM', Q .. ':holders:' .. limit, id)
  redis.call('HDEL', META .. id, 'limit', 'permit')
  local next = redis.call('LPOP', Q .. ':waiting:' .. limit)
  if not next then return end
  redis.call('HDEL', PARKED, next)
  redis.call('ZADD', Q .. ':holders:' .. limit, int(now), next)
  redis.call('HSET', META .. next, 'limit', limit)
  ready(next, redis.call('HGET', META .. next, 'priority'), true)
end

-- What a Celery client that waits for this job is told when nobody ran it.
local function tell_revoked(fields, reason)
  if not fields.celery_id or fields.celery_silent then return end
  local key = 'celery-task-meta-' .. fields.celery_id
  local text = '{"status":"REVOKED","result":{"exc_type":"TaskRevokedError","exc_message":["' .. reason ..
    '"],"exc_module":"celery.exceptions"},"traceback":null,"children":[],"date_done":null,"task_id":' ..
    cjson.encode(fields.celery_id) .. '}'
  redis.call('SET', key, text, 'EX', 86400)
  redis.call('PUBLISH', key, text)
end

-- Ends a job that is in no set any more without an attempt of its own: cancelled or expired.
local function finish(id, fields, state)
  redis.call('HSET', META .. id, 'state', state, 'finished_at', int(now))
  redis.call('ZADD', DONE, int(now), id)
  free_key(id, fields.unique_key)
  if fields.limit then free_place(id, fields.limit) end
  tell_revoked(fields, state == 'expired' and 'expired' or 'revoked')
end

-- Adds to a job's history of failed attempts and keeps the last ten.
local function remember(id, entry)
  local errors = cjson.decode(redis.call('HGET', META .. id, 'errors') or '[]')
  errors[#errors + 1] = entry
  while #errors > 10 do table.remove(errors, 1) end
  redis.call('HSET', META .. id, 'errors', cjson.encode(errors), 'error', entry.error)
end

-- Forgets ended jobs.
local function forget(ids)
  if #ids == 0 then return end
  local metas = {}
  for i, id in ipairs(ids) do metas[i] = META .. id end
  redis.call('HDEL', DATA, unpack(ids))
  redis.call('UNLINK', unpack(metas))
end

-- The job that holds a unique key, if that job still has a claim to it: a lock dies with its job.
local function holder_of(key, id)
  local holder = redis.call('GET', Q .. ':unique:' .. key)
  if not holder or holder == id then return nil end
  local state, until_ = unpack(redis.call('HMGET', META .. holder, 'state', 'unique_until'))
  if until_ == 'window' then return holder end
  if redis.call('HEXISTS', DATA, holder) == 0 then return nil end
  if state == 'succeeded' or state == 'dead' or state == 'cancelled' or state == 'expired' then return nil end
  return holder
end

-- Stores a new job, ready or scheduled. `extra` is '' or a JSON object of further fields.
-- Returns 1, or 0 when the id is taken, or the id of the job that holds its unique key. `batch` collects ready ids.
local function enqueue(id, payload, delay_ms, at_ms, extra, batch)
  local due = math.max(at_ms, now + delay_ms)
  local fields, options = { 'enqueued_at', int(now) }, {}
  if extra ~= '' then
    options = cjson.decode(extra)
    for name, value in pairs(options) do
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    if options.expires_in_ms then
      fields[#fields + 1], fields[#fields + 2] = 'expires_at', int(now + options.expires_in_ms)
    end
    local holder = options.unique_key and holder_of(options.unique_key, id)
    if holder then return holder end
  end
  if redis.call('HSETNX', DATA, id, payload) == 0 then return 0 end
  if options.unique_key then
    redis.call('SET', Q .. ':unique:' .. options.unique_key, id)
    if options.unique_until == 'window' then
      redis.call('PEXPIRE', Q .. ':unique:' .. options.unique_key, options.unique_ms)
    end
  end
  if due > now then
    fields[#fields + 1], fields[#fields + 2] = 'state', 'scheduled'
    fields[#fields + 1], fields[#fields + 2] = 'run_at', int(due)
    schedule(id, due)
    -- Whoever waits has to know of an earlier due time than that for which it waits.
    if redis.call('ZRANGE', SCHEDULED, 0, 0)[1] == id then wake() end
  elseif options.priority then
    ready(id, options.priority)
  else
    batch[#batch + 1] = id
  end
  redis.call('HSET', META .. id, unpack(fields))
  return 1
end

local function push(batch)
  if #batch > 0 then redis.call('RPUSH', ACTIVE, unpack(batch)) end
end
