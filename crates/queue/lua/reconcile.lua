-- Puts jobs back that are in `data` and in no collection: a script or another producer was stopped half-way.
-- ARGV: ms that have to lie between two findings, most entries of `stray`, then ids that were just found missing.
-- A job that is found the first time is noted in `stray`. One that was noted so long ago, and has the same record as then,
-- goes where its state says: a ready one is enqueued, one that should be running has lost its lease, one that waits for
-- its time is scheduled, one that has ended is kept like others.
-- Returns {how many were put back, how many were noted or are still noted}. Cost: O(log n) an id.
-- Invariant: a job that is in a list already may be put there twice, which claims nothing twice: its state decides.
local least, most, stray = tonumber(ARGV[1]), tonumber(ARGV[2]), Q .. ':stray'
local restored, noted = 0, 0

local function restore(id, run)
  local state, attempts = parse(run)
  if state == 'dead' then
    call('ZADD', Q .. ':dead', now_text, id)
  elseif has_ended(state) then
    if is_cancelled_in_place(id) then call('HDEL', Q .. ':cancel', id) end
    call('RPUSH', Q .. ':done', id)
  elseif state == 'scheduled' or state == 'retrying' then
    local due = tonumber(run:match('^[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t(%d+)') or now)
    if state == 'retrying' then call('SADD', Q .. ':retrying', id) end
    schedule(id, due)
    if call('ZRANGE', SCHEDULED, 0, 0)[1] == id then wake() end
  else
    if state == 'running' then
      remember(id, attempts, 'its lease was lost')
      call('HSET', RUN, id, record('ready', attempts))
      free_limits(id)
    end
    ready(id, options_of(id).priority)
  end
end

for i = 3, #ARGV do
  local id = ARGV[i]
  local run = call('HGET', RUN, id) or ''
  if call('HEXISTS', DATA, id) == 0 or whereabouts(id, run) == true then
    call('HDEL', stray, id)
  else
    local at, before = (call('HGET', stray, id) or ''):match('^(%d+)\n(.*)$')
    if before ~= run then
      if at or call('HLEN', stray) < most then call('HSET', stray, id, now_text .. '\n' .. run) end
      noted = noted + 1
    elseif now - at < least then
      noted = noted + 1
    else
      restore(id, run)
      call('HDEL', stray, id)
      restored = restored + 1
    end
  end
end
if restored > 0 then call('HINCRBY', Q .. ':totals', '?:restored', restored) end
return { restored, noted }
