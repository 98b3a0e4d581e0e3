-- Stores the outcome of the claim with token ARGV[2] of job ARGV[1]. Returns 1, also when this claim's outcome was
-- stored before and only the answer was lost; or 0 when the lease was lost and another claim decides: nothing is stored
-- then. ARGV[3] is the outcome, ARGV[4] and [5] what belongs to it:
--   succeeded result       retry  error delay_ms      dead    error max_attempts
--   snoozed   '' delay_ms  released                   (neither of these two uses an attempt)
local id, token, outcome, detail, number = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5] or '')
local key = meta(id)
if redis.call('HGET', key, 'settled') == token then return 1 end
if redis.call('HGET', key, 'token') ~= token or not redis.call('ZSCORE', LEASES, id) then return 0 end
local attempt = tonumber(redis.call('HGET', key, 'attempts'))

redis.call('ZREM', LEASES, id)
redis.call('HDEL', key, 'token')
redis.call('HSET', key, 'settled', token)

if outcome == 'succeeded' then
  redis.call('HSET', key, 'state', 'succeeded', 'status', 'Done', 'result', detail, 'finished_at', int(now))
  redis.call('HDEL', key, 'error')
  redis.call('ZADD', DONE, int(now), id)
elseif outcome == 'dead' then
  if number and attempt > number then
    attempt = number
    redis.call('HSET', key, 'attempts', int(attempt))
  end
  redis.call('HSET', key, 'state', 'dead', 'status', 'Killed', 'finished_at', int(now))
  redis.call('ZADD', DEAD, int(now), id)
  remember(id, { attempt = attempt, at = now, error = detail })
elseif outcome == 'retry' then
  redis.call('HSET', key, 'state', 'retrying', 'status', 'Failed', 'run_at', int(now + number))
  schedule(id, now + number)
  remember(id, { attempt = attempt, at = now, error = detail })
elseif outcome == 'snoozed' then
  redis.call('HSET', key, 'state', 'scheduled', 'status', 'Pending', 'attempts', int(attempt - 1), 'run_at', int(now + number))
  schedule(id, now + number)
else
  redis.call('HSET', key, 'state', 'ready', 'status', 'Pending', 'attempts', int(attempt - 1))
  redis.call('HDEL', key, 'worker')
  redis.call('LPUSH', ACTIVE, id)
end
return 1
