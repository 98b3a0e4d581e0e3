-- Asks for a place under a limit for a job that was claimed. ARGV: id, token, limit, most at once (0: any number),
-- permits per period (0: any number), period in ms.
-- Returns 1 when it may run; 0 when it may not yet, and was put where it waits without using an attempt; -1 when the
-- lease is not this claim's any more; 2 when somebody has cancelled it. A permit is a time that is reserved, so that a
-- job waits for its own time and is not asked again; a place is handed over by whoever ends (free_place). Workers may
-- differ in the limit, while it is changed. Cost: O(places) when all seem taken, or when the limit was raised.
local id, token, limit = ARGV[1], ARGV[2], ARGV[3]
local most, permits, period = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local state, attempts, theirs = parse(call('HGET', RUN, id))
if theirs ~= token or state ~= 'running' then return -1 end
if call('HEXISTS', Q .. ':cancel', id) == 1 then return 2 end
-- The limit had another name before, or was none for each value.
local before = call('HGET', Q .. ':place', id)
if before and before ~= limit then free_place(id, before) end

local function put_back(where, due)
  call('ZREM', LEASES, id)
  call('HSET', RUN, id, record(where, ('%d'):format(attempts - 1), '', '', '', '', due))
end

if permits > 0 and call('HEXISTS', Q .. ':permit', id) == 0 then
  local key, at = Q .. ':rate:' .. limit, now
  if call('LLEN', key) >= permits then at = math.max(now, tonumber(call('LINDEX', key, -permits)) + period) end
  call('RPUSH', key, int(at))
  call('LTRIM', key, -permits, -1)
  call('PEXPIRE', key, int(at - now + period))
  call('HSET', Q .. ':permit', id, int(at))
  if at > now then
    put_back('scheduled', int(at))
    schedule(id, at)
    return 0
  end
end

local holders = Q .. ':holders:' .. limit
local function places() return most - call('ZCARD', holders) end
local function wait(push)
  put_back('ready')
  call('HSET', Q .. ':parked', id, limit)
  call(push, Q .. ':waiting:' .. limit, id)
  return 0
end
-- Those that wait come first; more than one may go on when the limit was raised.
local function fill()
  repeat until places() <= 0 or not hand_over(limit)
end

if most == 0 then return 1 end
if call('ZSCORE', holders, id) then
  -- The place was handed over to it. The limit may have been lowered since.
  if places() < 0 then
    call('ZREM', holders, id)
    call('HDEL', Q .. ':place', id)
    return wait('LPUSH')
  end
  fill()
  return 1
end
if places() <= 0 then
  -- A place outlives no lease, whatever went wrong.
  for _, holder in ipairs(call('ZRANGE', holders, 0, -1)) do
    local has = call('HGET', Q .. ':place', holder) == limit and parse(call('HGET', RUN, holder))
    if has ~= 'running' and has ~= 'ready' then call('ZREM', holders, holder) end
  end
end
fill()
if places() <= 0 then return wait('RPUSH') end
call('ZADD', holders, now_text, id)
call('HSET', Q .. ':place', id, limit)
return 1
