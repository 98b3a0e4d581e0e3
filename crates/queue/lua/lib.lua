-- Put before every script. One layout of KEYS serves them all (keys.rs builds it):
--   1 data       HASH  id -> payload                          apalis-redis: job_data_hash
--   2 active     LIST  ids that are ready, oldest first       apalis-redis: active_jobs_list
--   3 scheduled  ZSET  id by time due, in SECONDS as apalis-redis has them, with our milliseconds behind the point
--   4 leases     ZSET  id by time the lease ends, in milliseconds
--   5 done       ZSET  id by time finished, in milliseconds
--   6 dead       ZSET  the same, for dead letters
--   7 meta       prefix of a HASH per job: <meta>:<id>         apalis-redis: job_meta_hash
--   8 fence      counter of claims; each claim's token
--   9 slots      HASH  what the scheduler enqueued last
-- A job is in exactly one of active, scheduled, leases, done, dead. Time is always Redis's own.

local DATA, ACTIVE, SCHEDULED, LEASES, DONE, DEAD, META, FENCE, SLOTS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function meta(id) return META .. ':' .. id end

-- A float in Lua 5.1 prints as 1.7e+12; Redis and people want 1700000000000.
local function int(n) return string.format('%.0f', n) end

local function schedule(id, due)
  redis.call('ZADD', SCHEDULED, string.format('%.3f', due / 1000), id)
end

-- Stores a new job, ready or scheduled. Says 1, or 0 when the id is taken.
local function enqueue(id, data, delay_ms, at_ms, extra)
  if redis.call('HSETNX', DATA, id, data) == 0 then return 0 end
  local due = math.max(at_ms, now + delay_ms)
  local fields = { 'attempts', 0, 'status', 'Pending', 'enqueued_at', int(now), 'run_at', int(due) }
  for name, value in pairs(cjson.decode(extra)) do
    fields[#fields + 1] = name
    fields[#fields + 1] = tostring(value)
  end
  fields[#fields + 1] = 'state'
  fields[#fields + 1] = due > now and 'scheduled' or 'ready'
  redis.call('HSET', meta(id), unpack(fields))
  if due > now then schedule(id, due) else redis.call('RPUSH', ACTIVE, id) end
  return 1
end

-- Adds to a job's history of failed attempts and keeps the last ten.
local function remember(id, entry)
  local errors = cjson.decode(redis.call('HGET', meta(id), 'errors') or '[]')
  errors[#errors + 1] = entry
  while #errors > 10 do table.remove(errors, 1) end
  redis.call('HSET', meta(id), 'errors', cjson.encode(errors), 'error', entry.error)
end
