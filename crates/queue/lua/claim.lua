-- Claims up to ARGV[3] ready jobs for worker ARGV[1] with a lease of ARGV[2] ms, in one step: pop, lease, owner.
-- Before, at most ARGV[4] due jobs become ready, and at most as many whose lease has ended.
-- An attempt is counted here, not at the end, so that a crash counts as one.
-- Returns {ms until the next scheduled job or -1, jobs rescued, job, …};
-- a job is {id, payload or false, token, attempt, max_attempts or false, timeout_ms or false}.
local worker, lease_ms, count, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

for _, id in ipairs(redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', string.format('%.3f', now / 1000), 'LIMIT', 0, bound)) do
  redis.call('ZREM', SCHEDULED, id)
  redis.call('RPUSH', ACTIVE, id)
  redis.call('HSET', meta(id), 'state', 'ready', 'status', 'Pending')
end

local rescued = redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'LIMIT', 0, bound)
for _, id in ipairs(rescued) do
  local lost = redis.call('HMGET', meta(id), 'worker', 'attempts')
  redis.call('ZREM', LEASES, id)
  redis.call('LPUSH', ACTIVE, id)
  redis.call('HDEL', meta(id), 'worker', 'token')
  redis.call('HSET', meta(id), 'state', 'ready', 'status', 'Pending')
  remember(id, { attempt = tonumber(lost[2]) or 0, at = now,
    error = 'worker ' .. (lost[1] or '?') .. ' was lost: it stopped renewing its lease' })
end

local next_due = -1
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
if first[2] then next_due = math.max(0, math.floor(first[2] * 1000 + 0.5) - now) end

local claimed = { next_due, #rescued }
for _, id in ipairs(count > 0 and redis.call('LPOP', ACTIVE, count) or {}) do
  local token = int(redis.call('INCR', FENCE))
  local attempt = redis.call('HINCRBY', meta(id), 'attempts', 1)
  redis.call('HSET', meta(id), 'state', 'running', 'status', 'Running', 'worker', worker, 'token', token,
    'started_at', int(now))
  redis.call('ZADD', LEASES, int(now + lease_ms), id)
  local limits = redis.call('HMGET', meta(id), 'max_attempts', 'timeout_ms')
  claimed[#claimed + 1] = { id, redis.call('HGET', DATA, id), token, attempt, limits[1], limits[2] }
end
return claimed
