-- Asks for a place and a permit under a limit for a job that was claimed. ARGV: id, token, limit, most at once (0: any
-- number), permits per period (0: any number), period in ms.
-- Returns 1 when it may run; 0 when it may not yet, and was put where it waits without using an attempt; -1 when the
-- lease is not this claim's any more; 2 when the job was cancelled.
-- A job that waits is called when its turn has come (call_waiters): by priority, then in order. A permit is used when a
-- job is called or admitted, never before, so that a job that is cancelled while it waits costs none. Workers may differ
-- in the limit while it is changed: the last one that asked decides for those that wait.
-- Cost: O(log n), and O(places) when all seem taken.
local id, token, limit = ARGV[1], ARGV[2], ARGV[3]
local most, permits, period = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if not (most and permits and period and most >= 0 and permits >= 0 and (permits == 0 or period >= 1)) then
  error({ err = 'ERR limit `' .. limit .. '` is out of range' })
end
local state, attempts, theirs = parse(call('HGET', RUN, id))
if theirs ~= token or state ~= 'running' then return -1 end
if call('HEXISTS', Q .. ':cancel', id) == 1 then return 2 end
-- Its worker knows it.
call('HDEL', Q .. ':unknown', id)

local holders, waiters = Q .. ':holders:' .. limit, Q .. ':waiters:' .. limit
local function note_limit()
  call('HSET', Q .. ':limits', limit, int(most) .. '\t' .. int(permits) .. '\t' .. int(period))
end
local function wait(in_front)
  call('ZREM', LEASES, id)
  call('HSET', RUN, id, record('ready', ('%d'):format(attempts - 1)))
  note_limit()
  park(id, limit, in_front)
  call_waiters(limit)
  return 0
end

-- The limit had another name before, or was none for each value.
local before = call('HGET', Q .. ':place', id)
if before and before ~= limit then free_limits(id) end
local has_place, permit = call('ZSCORE', holders, id), call('HGET', Q .. ':permit', id)
local was_called = has_place or permit
-- A permit counts from the time when the job begins, which may be long after it was called.
if permit then
  local at, of = permit:match('^(%d+)\t(.*)$')
  call('HDEL', Q .. ':permit', id)
  if at then call('LREM', Q .. ':rate:' .. of, 1, at) end
  if at and of ~= limit then call_waiters(of) end
end
local others_wait = call('EXISTS', waiters) == 1

-- The limit may have been lowered since the job was called.
local is_over = has_place and most > 0 and call('ZCARD', holders) > most
local no_place = most > 0 and not has_place and not has_free_place(limit, most)
local no_permit = next_permit(limit, permits, period) > now
if is_over or no_place or no_permit or (others_wait and not was_called) then
  drop_limits(id)
  return wait(was_called)
end
if most > 0 and not has_place then take_place(id, limit) end
if permits > 0 then use_permit(limit, permits, period) end
-- The limit may have been raised.
if others_wait then
  note_limit()
  call_waiters(limit)
end
return 1
