-- Claims ready jobs in one step: pop, lease, owner.
-- ARGV: 1 worker  2 nonce of this claim  3 ms that a lease lasts  4 how many at most  5 bound for the housekeeping
--       6 whether lapsed leases are taken over (not right after an outage: their owners need a moment to renew)
--       7 whether the nonce was sent before and its answer got lost: then the same jobs are returned again
-- Before, at most `bound` due jobs become ready, and at most as many whose lease has ended.
-- An attempt is counted here, not at the end, so that a crash counts as one. A claim's fencing token is nonce:n.
-- Returns {ms until a job is due or a lease ends or -1, jobs taken over, paused, Redis's time in ms, job, …};
-- a job is {id, payload or false, token, attempt, fields as [name, value, …]}.
-- Cost: O(log n) a job. Invariant: a job that leaves `active` is leased, ended, or never was one.
local worker, nonce, lease_ms, count, bound = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local claimed = { -1, 0, 0, now }

-- What other producers wrote may be anything, and a script that fails half way takes nothing back. So a job that cannot
-- be handled is dead, with the reason, and the others go on.
local function guarded(id, step)
  local ok, failure = pcall(step)
  if ok then return end
  unschedule(id)
  redis.call('ZREM', LEASES, id)
  redis.call('ZADD', DEAD, int(now), id)
  if redis.call('TYPE', META .. id).ok ~= 'hash' then redis.call('DEL', META .. id) end
  redis.call('HSET', META .. id, 'state', 'dead', 'finished_at', int(now),
    'error', 'its metadata cannot be used: ' .. (type(failure) == 'table' and failure.err or tostring(failure)))
end

if ARGV[7] == '1' then
  local before = redis.call('GET', Q .. ':claim:' .. worker)
  local again = before and cjson.decode(before)
  if again and again.nonce == nonce then
    for i, id in ipairs(again.ids) do
      local token, state, attempt = unpack(redis.call('HMGET', META .. id, 'token', 'state', 'attempts'))
      if token == nonce .. ':' .. i and state == 'running' then
        claimed[#claimed + 1] = { id, redis.call('HGET', DATA, id), token, tonumber(attempt), redis.call('HGETALL', META .. id) }
      end
    end
    return claimed
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', string.format('%.3f', now / 1000), 'LIMIT', 0, bound)) do
  guarded(id, function()
    local priority = redis.call('HGET', META .. id, 'priority')
    redis.call('HSET', META .. id, 'state', 'ready')
    unschedule(id)
    ready(id, priority)
  end)
end

if ARGV[6] == '1' then
  local lapsed = redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'LIMIT', 0, bound)
  for _, id in ipairs(lapsed) do
    guarded(id, function()
      local lost = read(id)
      redis.call('HDEL', META .. id, 'worker', 'token')
      redis.call('HSET', META .. id, 'state', 'ready')
      remember(id, { attempt = tonumber(lost.attempts) or 0, at = now,
        error = 'worker ' .. (lost.worker or '?') .. ' was lost: it stopped renewing its lease' })
      redis.call('ZREM', LEASES, id)
      if lost.limit then free_place(id, lost.limit) end
      ready(id, lost.priority, true)
    end)
  end
  claimed[2] = #lapsed
end

-- The earliest of what may need a worker later.
local first_due = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')[2]
local first_end = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2]
local next = math.huge
if first_due then next = math.floor(first_due * 1000 + 0.5) end
if first_end then next = math.min(next, tonumber(first_end)) end
if next < math.huge then claimed[1] = math.max(0, next - now) end

if redis.call('HEXISTS', CONTROL, 'paused') == 1 then
  claimed[3] = 1
  return claimed
end

local ids = {}
local function take_prioritized(below)
  while #ids < count do
    local first = redis.call('ZRANGE', PRIORITIZED, 0, 0, 'WITHSCORES')
    if not first[1] or tonumber(first[2]) >= below then return end
    redis.call('ZREM', PRIORITIZED, first[1])
    ids[#ids + 1] = first[1]
  end
end
local prioritized = redis.call('EXISTS', PRIORITIZED) == 1
if prioritized then take_prioritized(NORMAL * 2 ^ 44) end
local woken = false
local function take_active()
  for _, id in ipairs(#ids < count and redis.call('LPOP', ACTIVE, count - #ids) or {}) do
    if id == '' then woken = true else ids[#ids + 1] = id end
  end
end
take_active()
if woken then take_active() end
if prioritized then take_prioritized(math.huge) end
if #ids == 0 then return claimed end

local payloads, leases, taken = redis.call('HMGET', DATA, unpack(ids)), {}, {}
for i, id in ipairs(ids) do
  guarded(id, function()
    local flat, job = redis.call('HGETALL', META .. id), {}
    for f = 1, #flat, 2 do job[flat[f]] = flat[f + 1] end
    if job.state == 'cancelled' then return finish(id, job, 'cancelled') end
    if job.expires_at and tonumber(job.expires_at) <= now then return finish(id, job, 'expired') end
    local attempt = (tonumber(job.attempts) or 0) + 1
    local token = nonce .. ':' .. (#taken + 1)
    redis.call('HSET', META .. id, 'attempts', attempt, 'state', 'running', 'worker', worker, 'token', token,
      'started_at', int(now))
    if job.unique_until == 'started' then free_key(id, job.unique_key) end
    leases[#leases + 1] = int(now + lease_ms)
    leases[#leases + 1] = id
    taken[#taken + 1] = id
    claimed[#claimed + 1] = { id, payloads[i], token, attempt, flat }
  end)
end
if #taken > 0 then
  redis.call('ZADD', LEASES, unpack(leases))
  redis.call('SET', Q .. ':claim:' .. worker, cjson.encode({ nonce = nonce, ids = taken }), 'PX', int(lease_ms))
end
return claimed
