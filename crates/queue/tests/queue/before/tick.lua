#!lua
-- Put before every script but the shortest. KEYS[1] is the queue's prefix, such as dogwatch:{default}; every key
-- below begins with it, and so lies in the same slot of a cluster:
--   data         HASH  id -> the job as JSON: name, arguments, options      apalis-redis: job_data_hash
--   active       LIST  ids that are ready, oldest first                     apalis-redis: active_jobs_list
--   prioritized  ZSET  ready ids of another priority than 5, by priority, then by order
--   scheduled    ZSET  id by time due, in SECONDS as apalis-redis has them, with our milliseconds behind the point
--   retrying     SET   those of scheduled that wait for another attempt
--   leases       ZSET  id by time the lease ends, in ms
--   parked       HASH  id -> the limit that it waits for
--   done         LIST  ids that succeeded, were cancelled or have expired, in the order of their ends
--   dead         ZSET  id by time it died, in ms
--   run          HASH  id -> what became of it: see `record`. Absent: it is ready and was never claimed
--   errors, progress, cancel, place, permit   HASH  id -> the same of a job
--   control      HASH  paused; order (counter for prioritized)
--   slots        HASH  what the scheduler enqueued last
--   relayed      HASH  source -> last position of its outbox
--   unique:KEY   STRING  id of the job that holds the key
--   holders:L    ZSET  jobs that have a place under limit L        waiting:L  LIST of those that wait for one
--   rate:L       LIST  times of the last permits of L, in ms
--   claim:W      STRING  the last claim of worker W: its nonce and ids
--   stats:M      HASH  what ended in minute M       totals  HASH  the same, ever
--   revoked:ID   STRING  a job that was revoked before it was here
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

-- Makes a job ready; in front, when it had its turn before.
local function ready(id, priority, in_front)
  priority = tonumber(priority) or 5
  -- Also not a number, and infinity.
  if not (priority >= 0 and priority <= 9) then priority = 5 end
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

-- Gives a free place under a limit to the job that waits longest. False when none waits.
local function hand_over(limit)
  local next
  repeat
    next = call('LPOP', Q .. ':waiting:' .. limit)
  until not next or call('HDEL', Q .. ':parked', next) == 1
  if not next then return false end
  call('ZADD', Q .. ':holders:' .. limit, now_text, next)
  call('HSET', Q .. ':place', next, limit)
  ready(next, options_of(next).priority, true)
  return true
end

-- Gives the place under a limit back; the next that waits takes it over at once, so that no newcomer gets in between.
local function free_place(id, limit)
  call('HDEL', Q .. ':place', id)
  -- Somebody else may have taken a place that was left behind.
  if call('ZREM', Q .. ':holders:' .. limit, id) == 1 then hand_over(limit) end
end

-- Tells Celery clients that wait; {key, value} each. What cannot be told, such as for want of rights, stops nothing.
local function reply(replies)
  for _, to in ipairs(replies or {}) do
    redis.pcall('SET', to.key, to.value, 'EX', 86400)
    redis.pcall('PUBLISH', to.key, to.value)
  end
end

-- Passes messages on to Celery's lists.
local function pass_on(messages)
  for _, message in ipairs(messages or {}) do redis.pcall('LPUSH', message.list, message.text) end
end

-- What a Celery client that waits for this job is told when nobody ran it.
local function tell_revoked(celery, reason)
  if type(celery) ~= 'table' or type(celery.id) ~= 'string' or celery.ignore_result == true then return end
  local text = '{"status":"REVOKED","result":{"exc_type":"TaskRevokedError","exc_message":["' .. reason ..
    '"],"exc_module":"celery.exceptions"},"traceback":null,"children":[],"date_done":null,"task_id":' ..
    cjson.encode(celery.id) .. '}'
  reply({ { key = 'celery-task-meta-' .. celery.id, value = text } })
end

-- Ends a job that is in no set any more and that no claim holds.
local function finish(id, state)
  local job = options_of(id)
  local _, attempts, _, worker, started = parse(call('HGET', RUN, id))
  -- Without its token: a claim that was lost on the way must not take this for its own outcome.
  call('HSET', RUN, id, record(state, attempts, '', worker, started, now_text))
  call('RPUSH', Q .. ':done', id)
  if job.unique_until ~= 'window' then free_key(id, job.unique_key) end
  local limit = call('HGET', Q .. ':place', id)
  if limit then free_place(id, limit) end
  tell_revoked(job.celery, state == 'expired' and 'expired' or 'revoked')
end

-- Adds to a job's history of failed attempts and keeps the last ten.
local function remember(id, attempt, failure)
  local errors = cjson.decode(call('HGET', Q .. ':errors', id) or '[]')
  errors[#errors + 1] = { attempt = tonumber(attempt), at = now, error = failure }
  while #errors > 10 do table.remove(errors, 1) end
  call('HSET', Q .. ':errors', id, cjson.encode(errors))
end

-- Forgets ended jobs.
local function forget(ids)
  if #ids == 0 then return end
  call('HDEL', DATA, unpack(ids))
  call('HDEL', RUN, unpack(ids))
  for _, family in ipairs({ ':errors', ':progress', ':cancel', ':permit' }) do call('HDEL', Q .. family, unpack(ids)) end
end
-- Put between the layout and the scripts that take new jobs in.

-- The job that holds a unique key, if that job still has a claim to it: a lock dies with its job.
local function holder_of(key, id)
  local holder = call('GET', Q .. ':unique:' .. key)
  if not holder or holder == id then return nil end
  local until_ = options_of(holder).unique_until
  if until_ == 'window' then return holder end
  if not until_ then return call('PTTL', Q .. ':unique:' .. key) > 0 and holder or nil end
  local state, attempts = parse(call('HGET', RUN, holder))
  if has_ended(state) or (until_ == 'started' and attempts ~= '0') then return nil end
  return holder
end

-- Stores a new job, ready or scheduled. `options` is '' or a JSON object: what of the job's options matters here.
-- Returns 1, or 0 when the id is taken, or the id of the job that holds its unique key. `batch` collects ready ids.
local function enqueue(id, payload, delay_ms, at_ms, options, batch)
  local due = math.max(at_ms, now + delay_ms)
  local option = options ~= '' and cjson.decode(options) or {}
  local holder = option.unique_key and holder_of(option.unique_key, id)
  if holder then return holder end
  if call('HSETNX', DATA, id, payload) == 0 then return 0 end
  if option.unique_key then
    local key = Q .. ':unique:' .. option.unique_key
    if option.unique_ms then call('SET', key, id, 'PX', int(option.unique_ms)) else call('SET', key, id) end
  end
  if due > now then
    call('HSET', RUN, id, record('scheduled', '0', '', '', '', '', int(due)))
    schedule(id, due)
    -- Whoever waits has to know of an earlier due time than that for which it waits.
    if call('ZRANGE', SCHEDULED, 0, 0)[1] == id then wake() end
  elseif option.priority then
    ready(id, option.priority)
  else
    batch[#batch + 1] = id
  end
  return 1
end

local function push(batch)
  if #batch > 0 then call('RPUSH', ACTIVE, unpack(batch)) end
end
-- Enqueues ticks of schedules, each at most once whoever asks: the slot (its nominal time due) is claimed in this step.
-- ARGV: epoch of the leader, then ten a tick: schedule, slot in ms, definition, mode, overlap (skip|allow), and a job
-- as in enqueue.lua. mode:
--   next     the slot has to be later than the last one of this definition
--   first    only a schedule that never ran is enqueued
--   start    nothing is enqueued; the slot is where counting begins (a new or changed schedule, or one whose last slot
--            lies far ahead: Redis's clock was wrong)
--   restart  the same, also for one that is known: it was out of force for a while
-- Returns for each {what happened, last slot in ms, last definition}: enqueued, started, overlapping or taken; or
-- {'deposed'} alone when a leader with a later epoch was here. Cost: O(1) a tick.
local epoch, slots = tonumber(ARGV[1]), Q .. ':slots'
if epoch < tonumber(call('HGET', slots, ':epoch') or '0') then return { 'deposed' } end
call('HSET', slots, ':epoch', ARGV[1])
local batch = {}
-- Of ticks that were due: how many, how late together, how many were passed over.
local enqueued, late_ms, skipped = 0, 0, 0

local function tick(name, slot, definition, mode, overlap, id, payload, delay, at, options)
  local slot_field, definition_field, job_field = name .. ':slot', name .. ':definition', name .. ':job'
  local last_slot, last_definition, last_job = unpack(call('HMGET', slots, slot_field, definition_field, job_field))
  local same = last_definition == definition
  local taken = (mode == 'first' and last_slot) or (mode == 'start' and same and tonumber(last_slot) <= now + 3600000)
    or (mode == 'next' and not (same and tonumber(slot) > tonumber(last_slot)))
  if taken then return { 'taken', last_slot or '0', last_definition or '' } end

  call('HSET', slots, slot_field, slot, definition_field, definition)
  if mode == 'start' or mode == 'restart' then return { 'started', slot, definition } end

  if overlap == 'skip' and last_job and call('HEXISTS', DATA, last_job) == 1 then
    if not has_ended((parse(call('HGET', RUN, last_job)))) then
      -- For people who ask why nothing ran.
      call('HSET', slots, name .. ':skipped', slot)
      skipped = skipped + 1
      return { 'overlapping', slot, definition }
    end
  end
  call('HSET', slots, job_field, id, name .. ':enqueued', slot)
  if mode == 'next' then enqueued, late_ms = enqueued + 1, late_ms + now - tonumber(slot) end
  enqueue(id, payload, tonumber(delay), tonumber(at), options, batch)
  return { 'enqueued', slot, definition }
end

local answers = {}
for i = 2, #ARGV, 10 do
  answers[#answers + 1] = tick(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6],
    ARGV[i + 7], ARGV[i + 8], ARGV[i + 9])
end
push(batch)
for field, n in pairs({ enqueued = enqueued, late_ms = late_ms, skipped = skipped }) do
  if n ~= 0 then call('HINCRBY', slots, ':' .. field, int(n)) end
end
return answers
