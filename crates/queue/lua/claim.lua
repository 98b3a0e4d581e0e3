-- Claims up to ARGV[3] ready jobs for worker ARGV[1] with a lease of ARGV[2] ms, in one step: pop, lease, owner.
-- Before, at most ARGV[4] due jobs become ready, and at most as many whose lease has ended.
-- An attempt is counted here, not at the end, so that a crash counts as one.
-- Returns {ms until the next scheduled job or -1, jobs rescued, job, …};
-- a job is {id, payload or false, token, attempt, max_attempts or false, timeout_ms or false}.
local worker, lease_ms, count, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- What other producers wrote may be anything, and a script that fails half way takes nothing back. So a job that cannot
-- be handled is dead, with the reason, and the others go on.
local function guarded(id, step)
  local ok, failure = pcall(step)
  if ok then return true end
  redis.call('ZREM', SCHEDULED, id)
  redis.call('ZREM', LEASES, id)
  redis.call('ZADD', DEAD, int(now), id)
  if redis.call('TYPE', meta(id)).ok ~= 'hash' then redis.call('DEL', meta(id)) end
  redis.call('HSET', meta(id), 'state', 'dead', 'status', 'Killed', 'finished_at', int(now),
    'error', 'its metadata cannot be used: ' .. (type(failure) == 'table' and failure.err or tostring(failure)))
  return false
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', string.format('%.3f', now / 1000), 'LIMIT', 0, bound)) do
  guarded(id, function()
    redis.call('HSET', meta(id), 'state', 'ready', 'status', 'Pending')
    redis.call('ZREM', SCHEDULED, id)
    redis.call('RPUSH', ACTIVE, id)
  end)
end

local rescued = redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'LIMIT', 0, bound)
for _, id in ipairs(rescued) do
  guarded(id, function()
    local lost = redis.call('HMGET', meta(id), 'worker', 'attempts')
    redis.call('HDEL', meta(id), 'worker', 'token')
    redis.call('HSET', meta(id), 'state', 'ready', 'status', 'Pending')
    remember(id, { attempt = tonumber(lost[2]) or 0, at = now,
      error = 'worker ' .. (lost[1] or '?') .. ' was lost: it stopped renewing its lease' })
    redis.call('ZREM', LEASES, id)
    redis.call('LPUSH', ACTIVE, id)
  end)
end

local next_due = -1
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
if first[2] then next_due = math.max(0, math.floor(first[2] * 1000 + 0.5) - now) end

local claimed = { next_due, #rescued }
for _ = 1, count do
  local id = redis.call('LPOP', ACTIVE)
  if not id then break end
  guarded(id, function()
    local attempt = redis.call('HINCRBY', meta(id), 'attempts', 1)
    local token = int(redis.call('INCR', FENCE))
    redis.call('HSET', meta(id), 'state', 'running', 'status', 'Running', 'worker', worker, 'token', token,
      'started_at', int(now))
    redis.call('ZADD', LEASES, int(now + lease_ms), id)
    local limits = redis.call('HMGET', meta(id), 'max_attempts', 'timeout_ms')
    claimed[#claimed + 1] = { id, redis.call('HGET', DATA, id), token, attempt, limits[1], limits[2] }
  end)
end
return claimed
