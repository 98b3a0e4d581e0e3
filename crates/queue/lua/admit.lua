-- Asks for a place under a limit for a job that was claimed. ARGV: id, token, limit, most at once (0: any number),
-- permits per period (0: any number), period in ms.
-- Returns 1 when it may run; 0 when it may not yet, and was put where it waits without using an attempt; -1 when the
-- lease is not this claim's any more. A permit is a time that is reserved, so that a job waits for its own time and
-- is not asked again; a place is handed over by whoever ends (free_place). Cost: O(places) when all seem taken.
local id, token, limit = ARGV[1], ARGV[2], ARGV[3]
local most, permits, period = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local job = read(id)
if job.token ~= token or job.state ~= 'running' then return -1 end

local function put_back(state)
  redis.call('ZREM', LEASES, id)
  redis.call('HDEL', META .. id, 'token', 'worker')
  redis.call('HSET', META .. id, 'state', state, 'attempts', int(tonumber(job.attempts) - 1))
end

if permits > 0 and not job.permit then
  local key = Q .. ':rate:' .. limit
  local at = now
  if redis.call('LLEN', key) >= permits then
    at = math.max(now, tonumber(redis.call('LINDEX', key, -permits)) + period)
  end
  redis.call('RPUSH', key, int(at))
  redis.call('LTRIM', key, -permits, -1)
  redis.call('PEXPIRE', key, int(at - now + period))
  redis.call('HSET', META .. id, 'permit', int(at))
  if at > now then
    put_back('scheduled')
    redis.call('HSET', META .. id, 'run_at', int(at))
    schedule(id, at)
    return 0
  end
end

local holders = Q .. ':holders:' .. limit
if most == 0 or redis.call('ZSCORE', holders, id) then return 1 end
if redis.call('ZCARD', holders) >= most then
  -- A place outlives no lease, whatever went wrong.
  for _, holder in ipairs(redis.call('ZRANGE', holders, 0, -1)) do
    local theirs, state = unpack(redis.call('HMGET', META .. holder, 'limit', 'state'))
    if theirs ~= limit or (state ~= 'running' and state ~= 'ready') then redis.call('ZREM', holders, holder) end
  end
end
if redis.call('ZCARD', holders) >= most then
  put_back('ready')
  redis.call('HSET', PARKED, id, limit)
  redis.call('RPUSH', Q .. ':waiting:' .. limit, id)
  return 0
end
redis.call('ZADD', holders, int(now), id)
redis.call('HSET', META .. id, 'limit', limit)
return 1
