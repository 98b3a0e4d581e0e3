-- Put before every script but the shortest. KEYS[1] is the queue's prefix, such as dogwatch:{default}; every key
-- below begins with it, and so lies in the same slot of a cluster:
--   data         HASH  id -> the job as JSON: name, arguments, options      apalis-redis: job_data_hash
--   active       LIST  ids that are ready, oldest first                     apalis-redis: active_jobs_list
--   prioritized  ZSET  ready ids of another priority than 5, by priority, then by order
--   scheduled    ZSET  id by time due, in SECONDS as apalis-redis has them, with our milliseconds behind the point
--   retrying     SET   those of scheduled that wait for another attempt
--   leases       ZSET  id by time the lease ends, in ms
--   parked       HASH  id -> the limit under which it waits
--   done         LIST  ids that succeeded, were cancelled or have expired, in the order of their ends
--   dead         ZSET  id by time it died, in ms
--   run          HASH  id -> what became of it: see `record`. Absent: it is ready and was never claimed
--   errors, progress   HASH  id -> the same of a job
--   cancel       HASH  id -> when its worker was asked to end it; `listed`: it was cancelled and is still in `active`
--   unknown      HASH  id -> since when no worker knew the job's name, in ms, and how often it was put back
--   place        HASH  id -> the limit under which it has a place
--   permit       HASH  id -> time and limit of a permit that it has not used yet
--   control      HASH  paused; order (counter for prioritized and waiters)
--   slots        HASH  what the scheduler enqueued last
--   relayed      HASH  source -> last position of its outbox
--   unique:KEY   STRING  id of the job that holds the key
--   holders:L    ZSET  jobs that have a place under limit L
--   waiters:L    ZSET  jobs that wait under limit L, by priority, then by order
--   rate:L       LIST  times of the last permits of L, in ms
--   limits       HASH  L -> places, permits, period in ms; only while jobs wait under L
--   alarms       ZSET  L by the time when a job that waits under it may be called, in ms
--   stray        HASH  id -> when it was found in no collection, in ms, and its `run` at that time
--   reconciler   STRING  the worker that looks for such jobs
--   claim:W      STRING  the last claim of worker W: its nonce and ids
--   stats:M      HASH  what ended in minute M       totals  HASH  the same, ever
--   revoked      ZSET  ids that Celery's clients have revoked, by the time until which they are remembered, in ms
--   celery       HASH  what happened to Celery's messages, ever: taken, refused, left, duplicate, dropped and others
--   replies      LIST  results of Celery tasks that belong into another Redis; control has their reply_bytes
--   replies_turn STRING  the worker that stores them there
-- A job is in exactly one of active, prioritized, scheduled, leases, parked, done, dead. Time is always Redis's own.

local Q = KEYS[1]
local DATA, RUN, ACTIVE, SCHEDULED, LEASES = Q .. ':data', Q .. ':run', Q .. ':active', Q .. ':scheduled', Q .. ':leases'
local call = redis.call

local time = call('TIME')
local now_text = time[1] .. ('%06d'):format(time[2]):sub(1, 3)
local now = tonumber(now_text)

-- A float in Lua 5.1 prints as 1.7e+12; Redis and people want 1700000000000.
local function int(n) return ('%.0f'):format(n) end

-- What is written in `run`; the times in ms, the result as JSON.
local function record(state, attempts, token, worker, started, finished, due, result)
  return state .. '\t' .. attempts .. '\t' .. (token or '') .. '\t' .. (worker or '') .. '\t' .. (started or '') .. '\t' ..
    (finished or '') .. '\t' .. (due or '') .. '\t' .. (result or '')
end

-- Reads it: state, attempts, token, worker, started. A job that was never claimed is ready.
local function parse(text)
  local state, attempts, token, worker, started = (text or ''):match('^(%a+)\t(%d+)\t([^\t]*)\t([^\t]*)\t(%d*)')
  if not state then return 'ready', '0', '', '', '' end
  return state, attempts, token, worker, started
end

local function has_ended(state)
  return state == 'succeeded' or state == 'dead' or state == 'cancelled' or state == 'expired'
end

-- The options of a job. What other producers wrote may be anything.
local function options_of(id)
  local ok, job = pcall(cjson.decode, call('HGET', DATA, id) or '{}')
  return ok and type(job) == 'table' and job or {}
end

local function schedule(id, due)
  call('ZADD', SCHEDULED, ('%.3f'):format(due / 1000), id)
end

-- Takes a job out again. Returns 1, or 0 when it was not there. What an apalis-redis producer has written beside the
-- job goes as well: its jobs all come by this way, and nobody else removes it.
local function unschedule(id)
  call('UNLINK', Q .. ':meta:' .. id)
  call('SREM', Q .. ':retrying', id)
  return call('ZREM', SCHEDULED, id)
end

-- Workers that wait, wait for an element of `active`: an empty id wakes them for what is not there.
local function wake()
  if call('LLEN', ACTIVE) == 0 then call('RPUSH', ACTIVE, '') end
end

-- A priority as it holds: what other producers wrote may be NaN, infinity or no number at all.
local function priority_of(priority)
  priority = tonumber(priority) or 5
  return priority >= 0 and priority <= 9 and priority or 5
end

-- Makes a job ready; in front, when it had its turn before.
local function ready(id, priority, in_front)
  priority = priority_of(priority)
  if priority == 5 then
    call(in_front and 'LPUSH' or 'RPUSH', ACTIVE, id)
  else
    local order = in_front and 0 or call('HINCRBY', Q .. ':control', 'order', 1)
    call('ZADD', Q .. ':prioritized', int(priority * 2 ^ 44 + order), id)
    wake()
  end
end

-- Gives a unique key back, when this job holds it.
local function free_key(id, key)
  if type(key) == 'string' and call('GET', Q .. ':unique:' .. key) == id then call('DEL', Q .. ':unique:' .. key) end
end

-- Order of jobs that wait under a limit, as in `prioritized`: by priority, then by arrival; in front of its priority
-- when it had its turn before.
local function wait_score(id, in_front)
  local priority = priority_of(options_of(id).priority)
  local order = in_front and 0 or call('HINCRBY', Q .. ':control', 'order', 1)
  return int(priority * 2 ^ 44 + order)
end

-- Lets a ready job that is in no collection wait under a limit.
local function park(id, limit, in_front)
  call('HSET', Q .. ':parked', id, limit)
  call('ZADD', Q .. ':waiters:' .. limit, wait_score(id, in_front), id)
end

-- Takes a job out from under its limit. Returns 1, or 0 when it did not wait there.
local function unpark(id)
  local limit = call('HGET', Q .. ':parked', id)
  if not limit then return 0 end
  local waiters = Q .. ':waiters:' .. limit
  call('HDEL', Q .. ':parked', id)
  call('ZREM', waiters, id)
  if call('EXISTS', waiters, Q .. ':waiting:' .. limit) == 0 then
    call('ZREM', Q .. ':alarms', limit)
    call('HDEL', Q .. ':limits', limit)
  end
  return 1
end

-- When the next permit of a limit is free, in ms; now or earlier when one is.
local function next_permit(limit, permits, period)
  local rate = Q .. ':rate:' .. limit
  if permits == 0 or call('LLEN', rate) < permits then return now end
  return tonumber(call('LINDEX', rate, -permits)) + period
end

-- Uses a permit now.
local function use_permit(limit, permits, period)
  local rate = Q .. ':rate:' .. limit
  call('RPUSH', rate, now_text)
  call('LTRIM', rate, -permits, -1)
  call('PEXPIRE', rate, int(period))
end

local function take_place(id, limit)
  call('ZADD', Q .. ':holders:' .. limit, now_text, id)
  call('HSET', Q .. ':place', id, limit)
end

-- Whether a limit of `most` jobs at once has a free place. A place outlives no lease, whatever went wrong: when all
-- seem to be taken, those of jobs that neither run nor were called are free. Cost then: O(places).
local function has_free_place(limit, most)
  local holders = Q .. ':holders:' .. limit
  if most == 0 or call('ZCARD', holders) < most then return true end
  for _, holder in ipairs(call('ZRANGE', holders, 0, -1)) do
    local state = call('HGET', Q .. ':place', holder) == limit and parse(call('HGET', RUN, holder))
    if state ~= 'running' and state ~= 'ready' then call('ZREM', holders, holder) end
  end
  return call('ZCARD', holders) < most
end

-- Jobs that wait under a limit and are called in one step, at most.
local CALLED_AT_ONCE = 50
-- A place that was lost without an event is found after so many ms.
local RECHECK_MS = 10000

-- Calls the jobs that wait under a limit while it has places and permits: each gets its place and its permit at once,
-- so that no newcomer comes between, and becomes ready in front. Sets the alarm for those that go on waiting.
-- Cost: O(log n) a job.
local function call_waiters(limit)
  local waiters, called = Q .. ':waiters:' .. limit, {}
  -- The version before keeps them in a list.
  for _, id in ipairs(call('LPOP', Q .. ':waiting:' .. limit, CALLED_AT_ONCE) or {}) do
    if call('HEXISTS', Q .. ':parked', id) == 1 then call('ZADD', waiters, wait_score(id), id) end
  end
  local most, permits, period = (call('HGET', Q .. ':limits', limit) or ''):match('^(%d+)\t(%d+)\t(%d+)$')
  most, permits, period = tonumber(most or 0), tonumber(permits or 0), tonumber(period or 0)
  local alarm = now + RECHECK_MS
  for n = 1, CALLED_AT_ONCE do
    if not has_free_place(limit, most) then break end
    local free_at = next_permit(limit, permits, period)
    if free_at > now then
      alarm = free_at
      break
    end
    local id = call('ZPOPMIN', waiters)[1]
    if not id then break end
    if n == CALLED_AT_ONCE then alarm = now end
    call('HDEL', Q .. ':parked', id)
    local state = parse(call('HGET', RUN, id))
    if state == 'ready' and most > 0 then take_place(id, limit) end
    if state == 'ready' and permits > 0 then
      use_permit(limit, permits, period)
      call('HSET', Q .. ':permit', id, now_text .. '\t' .. limit)
    end
    -- A claim ends one that the version before has cancelled here.
    if state == 'ready' or state == 'cancelled' then called[#called + 1] = id end
  end
  -- The last one first, since each goes in front.
  for n = #called, 1, -1 do ready(called[n], options_of(called[n]).priority, true) end
  if call('EXISTS', waiters, Q .. ':waiting:' .. limit) > 0 then
    call('ZADD', Q .. ':alarms', int(alarm), limit)
  else
    call('ZREM', Q .. ':alarms', limit)
    call('HDEL', Q .. ':limits', limit)
  end
end

-- Takes back what a job has under limits: its place, and a permit that it has not used. Returns the limits.
local function drop_limits(id)
  local limits = {}
  local place = call('HGET', Q .. ':place', id)
  if place then
    call('HDEL', Q .. ':place', id)
    -- Another job may have taken a place that was left behind.
    if call('ZREM', Q .. ':holders:' .. place, id) == 1 then limits[1] = place end
  end
  local permit = call('HGET', Q .. ':permit', id)
  if permit then
    call('HDEL', Q .. ':permit', id)
    local at, limit = permit:match('^(%d+)\t(.*)$')
    if at and call('LREM', Q .. ':rate:' .. limit, 1, at) == 1 and limit ~= place then limits[#limits + 1] = limit end
  end
  return limits
end

-- The same, and calls those that wait for it at once.
local function free_limits(id)
  for _, limit in ipairs(drop_limits(id)) do call_waiters(limit) end
end

-- Keeps a result until a worker has stored it in another Redis. The newest is dropped when too many wait.
local MAX_REPLIES, MAX_REPLY_BYTES = 10000, 64 * 1024 * 1024
local function keep_reply(to)
  local text = cjson.encode({ key = to.key, value = to.value })
  local bytes = tonumber(call('HGET', Q .. ':control', 'reply_bytes') or '0') + #text
  if bytes > MAX_REPLY_BYTES or call('LLEN', Q .. ':replies') >= MAX_REPLIES then
    call('HINCRBY', Q .. ':celery', 'dropped', 1)
    return
  end
  call('RPUSH', Q .. ':replies', text)
  call('HSET', Q .. ':control', 'reply_bytes', int(bytes))
end

-- Stores results for Celery clients and notifies those that wait; {key, value, relay} each, `relay` for another Redis.
-- What cannot be stored, such as for want of rights, stops nothing.
local function reply(replies)
  for _, to in ipairs(replies or {}) do
    if to.relay == true then
      keep_reply(to)
    else
      redis.pcall('SET', to.key, to.value, 'EX', 86400)
      redis.pcall('PUBLISH', to.key, to.value)
    end
  end
end

-- Passes messages on to Celery's lists. A client names the list, which must be none of ours.
local OURS = Q:match('^.*:{') or Q
local function pass_on(messages)
  for _, message in ipairs(messages or {}) do
    if message.list:sub(1, #OURS) == OURS then
      call('HINCRBY', Q .. ':celery', 'refused', 1)
    else
      redis.pcall('LPUSH', message.list, message.text)
    end
  end
end

-- What a Celery client that waits for this job is told when nobody ran it.
local function tell_revoked(celery, reason)
  if type(celery) ~= 'table' or type(celery.id) ~= 'string' or celery.ignore_result == true then return end
  local text = '{"status":"REVOKED","result":{"exc_type":"TaskRevokedError","exc_message":["' .. reason ..
    '"],"exc_module":"celery.exceptions"},"traceback":null,"children":[],"date_done":null,"task_id":' ..
    cjson.encode(celery.id) .. '}'
  local prefix = type(celery.results_prefix) == 'string' and celery.results_prefix or ''
  reply({ { key = prefix .. 'celery-task-meta-' .. celery.id, value = text, relay = celery.relay } })
end

-- A job that is cancelled while it is in `active` keeps its place, since a search there would cost O(n).
local function cancel_in_place(id, attempts)
  call('HSET', RUN, id, record('cancelled', attempts, '', '', '', now_text))
  call('HSET', Q .. ':cancel', id, 'listed')
end
local function is_cancelled_in_place(id)
  return call('HGET', Q .. ':cancel', id) == 'listed'
end

-- Ends a job that is in no set any more and that no claim holds.
local function finish(id, state)
  local job = options_of(id)
  local _, attempts, _, worker, started = parse(call('HGET', RUN, id))
  -- Without its token: a claim that was lost on the way must not take this for its own outcome.
  call('HSET', RUN, id, record(state, attempts, '', worker, started, now_text))
  call('RPUSH', Q .. ':done', id)
  if is_cancelled_in_place(id) then call('HDEL', Q .. ':cancel', id) end
  if job.unique_until ~= 'window' then free_key(id, job.unique_key) end
  free_limits(id)
  tell_revoked(job.celery, state == 'expired' and 'expired' or 'revoked')
end

-- Adds to a job's history of failed attempts and keeps the last ten.
local function remember(id, attempt, failure)
  local ok, errors = pcall(cjson.decode, call('HGET', Q .. ':errors', id) or '[]')
  if not ok or type(errors) ~= 'table' then errors = {} end
  errors[#errors + 1] = { attempt = tonumber(attempt), at = now, error = failure }
  while #errors > 10 do table.remove(errors, 1) end
  call('HSET', Q .. ':errors', id, cjson.encode(errors))
end

-- Forgets ended jobs.
local function forget(ids)
  if #ids == 0 then return end
  call('HDEL', DATA, unpack(ids))
  call('HDEL', RUN, unpack(ids))
  for _, family in ipairs({ ':errors', ':progress', ':cancel', ':unknown', ':stray' }) do call('HDEL', Q .. family, unpack(ids)) end
end

-- Forgets jobs that left `done`. An id may stand there twice, and be that of another job by now.
local function forget_done(ids)
  if #ids == 0 then return end
  local runs, ended = call('HMGET', RUN, unpack(ids)), {}
  for i, id in ipairs(ids) do
    local state = parse(runs[i])
    if has_ended(state) and state ~= 'dead' then ended[#ended + 1] = id end
  end
  forget(ended)
end
