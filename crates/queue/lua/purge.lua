-- Cancels jobs that wait, at most ARGV[1] of each kind. Returns how many. Cost: O(log n) each.
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
  elseif id ~= '' and state == 'cancelled' then
    finish(id, 'cancelled')
  end
end
for _, id in ipairs(call('HSCAN', Q .. ':parked', 0, 'COUNT', bound)[2]) do
  if unpark(id) == 1 and parse(call('HGET', RUN, id)) == 'ready' then
    finish(id, 'cancelled')
    cancelled = cancelled + 1
  end
end
return cancelled
