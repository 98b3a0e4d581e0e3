-- Cancels jobs that wait, at most ARGV[1] of each kind. ARGV[2]: where to go on among those that wait under a limit, 0 at
-- first. Returns {how many were cancelled, how many ids were taken out, where to go on}: all is done when nothing was taken
-- out and the last is 0. Cost: O(log n) each.
local bound, ids, cancelled = tonumber(ARGV[1]), {}, 0
for _, id in ipairs(call('LPOP', ACTIVE, bound) or {}) do ids[#ids + 1] = id end
local popped = call('ZPOPMIN', Q .. ':prioritized', bound)
for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
for _, id in ipairs(call('ZRANGE', SCHEDULED, 0, bound - 1)) do
  unschedule(id)
  ids[#ids + 1] = id
end
for _, id in ipairs(ids) do
  local state = parse(call('HGET', RUN, id))
  -- An empty id only wakes; and one that was pushed twice may run by now.
  if id ~= '' and (state == 'ready' or state == 'scheduled' or state == 'retrying') then
    finish(id, 'cancelled')
    cancelled = cancelled + 1
  elseif id ~= '' and state == 'cancelled' and is_cancelled_in_place(id) then
    finish(id, 'cancelled')
  end
end
local page = call('HSCAN', Q .. ':parked', ARGV[2], 'COUNT', bound)
for i = 1, #page[2], 2 do
  local id = page[2][i]
  if unpark(id) == 1 and parse(call('HGET', RUN, id)) == 'ready' then
    finish(id, 'cancelled')
    cancelled = cancelled + 1
  end
end
return { cancelled, #ids, page[1] }
