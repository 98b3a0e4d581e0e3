-- Stores the outcomes of claims. ARGV: 1 how many ended jobs are kept, 2 how many dead ones; then nine a claim:
--   id, token, outcome, detail, number, job, run time in ms, its bucket, what to tell a Celery client ('' or JSON).
--   succeeded result            retry  error delay_ms      dead  error max_attempts      cancelled reason
--   snoozed   ''     delay_ms   released                   (these two use no attempt)
-- Returns for each 1, also when this claim's outcome was stored before and only the answer got lost; or 0 when the
-- lease was lost and another claim decides: nothing is stored then. Cost: O(log n) a claim.
-- Invariant: of the claims of a job, only the last one is accepted, and once.
local keep_done, keep_dead = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers, settled, done, dead, counts = {}, {}, {}, {}, {}

local function count(field, n)
  counts[field] = (counts[field] or 0) + n
end

local function tell(text)
  local news = cjson.decode(text)
  if news.key then
    redis.call('SET', news.key, news.value, 'EX', news.keep_s)
    redis.call('PUBLISH', news.key, news.value)
  end
  for _, message in ipairs(news.push or {}) do redis.call('LPUSH', message.list, message.text) end
end

local function settle(id, token, outcome, detail, number, job, run_ms, bucket, news)
  local key = META .. id
  local theirs, state, attempts, unique_key, unique_until, limit, priority =
    unpack(redis.call('HMGET', key, 'token', 'state', 'attempts', 'unique_key', 'unique_until', 'limit', 'priority'))
  if theirs ~= token then return 0 end
  if state ~= 'running' then return 1 end
  local attempt = tonumber(attempts)
  settled[#settled + 1] = id
  if limit then free_place(id, limit) end
  count(job .. ':' .. outcome, 1)

  if outcome == 'succeeded' then
    redis.call('HSET', key, 'state', 'succeeded', 'result', detail, 'finished_at', int(now))
    if attempt > 1 then redis.call('HDEL', key, 'error') end
    done[#done + 1], done[#done + 2] = int(now), id
  elseif outcome == 'cancelled' then
    redis.call('HSET', key, 'state', 'cancelled', 'error', detail, 'finished_at', int(now))
    done[#done + 1], done[#done + 2] = int(now), id
  elseif outcome == 'dead' then
    if number and attempt > number then
      attempt = number
      redis.call('HSET', key, 'attempts', int(attempt))
    end
    redis.call('HSET', key, 'state', 'dead', 'finished_at', int(now))
    dead[#dead + 1], dead[#dead + 2] = int(now), id
    remember(id, { attempt = attempt, at = now, error = detail })
  elseif outcome == 'retry' then
    redis.call('HSET', key, 'state', 'retrying', 'run_at', int(now + number))
    redis.call('HDEL', key, 'permit')
    redis.call('SADD', RETRYING, id)
    schedule(id, now + number)
    remember(id, { attempt = attempt, at = now, error = detail })
  elseif outcome == 'snoozed' then
    redis.call('HSET', key, 'state', 'scheduled', 'attempts', int(attempt - 1), 'run_at', int(now + number))
    redis.call('HDEL', key, 'permit')
    schedule(id, now + number)
  else
    redis.call('HSET', key, 'state', 'ready', 'attempts', int(attempt - 1))
    redis.call('HDEL', key, 'worker')
    ready(id, priority, true)
  end
  if outcome == 'succeeded' or outcome == 'cancelled' or outcome == 'dead' then
    if unique_key and unique_until ~= 'window' then free_key(id, unique_key) end
  end
  if run_ms ~= '' then
    count(job .. ':ms', tonumber(run_ms))
    count(job .. ':b' .. bucket, 1)
  end
  if news ~= '' then tell(news) end
  return 1
end

for i = 3, #ARGV, 9 do
  local id = ARGV[i]
  answers[#answers + 1] = settle(id, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4]), ARGV[i + 5],
    ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
end
if #settled == 0 then return answers end

redis.call('ZREM', LEASES, unpack(settled))
if #done > 0 then redis.call('ZADD', DONE, unpack(done)) end
if #dead > 0 then redis.call('ZADD', DEAD, unpack(dead)) end
local stats = Q .. ':stats:' .. int(math.floor(now / 60000))
for field, n in pairs(counts) do redis.call('HINCRBY', stats, field, int(n)) end
redis.call('EXPIRE', stats, 90000)

local function trim(set, keep)
  local above = redis.call('ZCARD', set) - keep
  if above <= 0 then return end
  local popped, ids = redis.call('ZPOPMIN', set, math.min(above, 1000)), {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  forget(ids)
end
if #done > 0 then trim(DONE, keep_done) end
if #dead > 0 then trim(DEAD, keep_dead) end
return answers
