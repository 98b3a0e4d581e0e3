-- Claims ready jobs in one step: pop, lease, owner.
-- ARGV: 1 worker  2 nonce of this claim  3 ms that a lease lasts  4 how many at most  5 bound for the housekeeping
--       6 whether lapsed leases are taken over (not right after an outage: their owners need a moment to renew)
--       7 whether the nonce was sent before and its answer got lost: then the same jobs are returned again
-- Before, at most `bound` due jobs become ready, and at most as many whose lease has ended; and jobs are called that wait
-- under at most ten limits with a free permit.
-- An attempt is counted here, not at the end, so that a crash counts as one. A claim's fencing token is nonce:n.
-- Returns {ms until a job is due, a permit is free or a lease ends, or -1, jobs taken over, paused, Redis's time in ms, job, …};
-- a job is {id, payload or false, token, attempt}.
-- Cost: O(log n) a job. Invariant: a job that leaves `active` is leased, ended, or never was one.
local worker, nonce, lease_ms, count, bound = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local claimed = { -1, 0, 0, now_text }

if ARGV[7] == '1' then
  local before = call('GET', Q .. ':claim:' .. worker)
  local again = before and cjson.decode(before)
  if again and again.nonce == nonce then
    for i, id in ipairs(again.ids) do
      local state, attempt, token = parse(call('HGET', RUN, id))
      if token == nonce .. ':' .. i and state == 'running' then
        claimed[#claimed + 1] = { id, call('HGET', DATA, id), token, attempt }
      end
    end
    return claimed
  end
end

-- The earliest times of what may need a worker later. Scores of `scheduled` are seconds, those of `leases` ms.
local function first_due()
  local score = call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')[2]
  return score and math.floor(score * 1000 + 0.5) or math.huge
end
local function first_end()
  return tonumber(call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2] or math.huge)
end

local function first_alarm()
  return tonumber(call('ZRANGE', Q .. ':alarms', 0, 0, 'WITHSCORES')[2] or math.huge)
end

local due, ends, alarm = first_due(), first_end(), first_alarm()
if due <= now then
  for _, id in ipairs(call('ZRANGEBYSCORE', SCHEDULED, '-inf', ('%.3f'):format(now / 1000), 'LIMIT', 0, bound)) do
    local state, attempts = parse(call('HGET', RUN, id))
    unschedule(id)
    if not has_ended(state) and state ~= 'running' then
      call('HSET', RUN, id, record('ready', attempts))
      ready(id, options_of(id).priority)
    end
  end
  due = first_due()
end
if ends <= now and ARGV[6] == '1' then
  local lapsed = call('ZRANGEBYSCORE', LEASES, '-inf', now_text, 'LIMIT', 0, bound)
  for _, id in ipairs(lapsed) do
    local state, attempts, _, owner = parse(call('HGET', RUN, id))
    call('ZREM', LEASES, id)
    if state == 'running' then
      -- A worker that does not know a job settles it at once.
      call('HDEL', Q .. ':unknown', id)
      remember(id, attempts, 'worker ' .. owner .. ' was lost: it stopped renewing its lease')
      if call('HEXISTS', Q .. ':cancel', id) == 1 then
        finish(id, 'cancelled')
      else
        call('HSET', RUN, id, record('ready', attempts))
        ready(id, options_of(id).priority, true)
        free_limits(id)
      end
    end
  end
  claimed[2] = #lapsed
  ends = first_end()
end
local is_paused = call('HEXISTS', Q .. ':control', 'paused') == 1
-- Nobody would run those that are called, and their permits would age.
if is_paused then
  alarm = math.huge
elseif alarm <= now then
  for _, limit in ipairs(call('ZRANGEBYSCORE', Q .. ':alarms', '-inf', now_text, 'LIMIT', 0, 10)) do
    call_waiters(limit)
  end
  alarm = first_alarm()
end
-- A worker that may not take over need not come back for it either.
local next = math.min(due, alarm, ARGV[6] == '1' and ends or math.huge)
if next < math.huge then claimed[1] = math.max(0, next - now) end

local ids, prioritized, woken = {}, Q .. ':prioritized', false
-- What most claims of an idle worker find.
if call('EXISTS', ACTIVE, prioritized) == 0 then return claimed end
if is_paused then
  claimed[3] = 1
  return claimed
end

local function take_prioritized(below)
  while #ids < count do
    local first = call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
    if not first[1] or tonumber(first[2]) >= below then return end
    call('ZREM', prioritized, first[1])
    ids[#ids + 1] = first[1]
  end
end
local function take_active()
  for _, id in ipairs(#ids < count and call('LPOP', ACTIVE, count - #ids) or {}) do
    if id == '' then woken = true else ids[#ids + 1] = id end
  end
end
local has_prioritized = call('EXISTS', prioritized) == 1
if has_prioritized then take_prioritized(5 * 2 ^ 44) end
take_active()
if woken then take_active() end
if has_prioritized then take_prioritized(math.huge) end
if #ids == 0 then return claimed end

local payloads, runs = call('HMGET', DATA, unpack(ids)), call('HMGET', RUN, unpack(ids))
local leases, records, taken, seen, lease_end = {}, {}, {}, {}, int(now + lease_ms)
local cancelled = {}
for i, id in ipairs(ids) do
  local state, attempts = parse(runs[i])
  if not seen[id] and state == 'cancelled' and is_cancelled_in_place(id) then
    cancelled[#cancelled + 1] = id
  elseif not seen[id] and state == 'ready' then
    local n = #taken + 1
    local token, attempt = nonce .. ':' .. n, ('%d'):format(attempts + 1)
    taken[n] = id
    leases[2 * n - 1], leases[2 * n] = lease_end, id
    records[2 * n - 1], records[2 * n] = id, record('running', attempt, token, worker, now_text)
    claimed[4 + n] = { id, payloads[i], token, attempt }
  end
  -- Any other state: the id was pushed twice, and the job is where its state says.
  seen[id] = true
end
if #taken > 0 then
  call('HSET', RUN, unpack(records))
  call('ZADD', LEASES, unpack(leases))
  call('SET', Q .. ':claim:' .. worker, cjson.encode({ nonce = nonce, ids = taken }), 'PX', ARGV[3])
end
for _, id in ipairs(cancelled) do finish(id, 'cancelled') end
return claimed
