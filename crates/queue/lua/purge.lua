-- Cancels jobs that wait, at most ARGV[1] of each kind. Returns how many. Cost: O(log n) each.
local bound, ids = tonumber(ARGV[1]), {}
for _, id in ipairs(call('LPOP', ACTIVE, bound) or {}) do
  if id ~= '' then ids[#ids + 1] = id end
end
for _, set in ipairs({ Q .. ':prioritized', SCHEDULED }) do
  local popped = call('ZPOPMIN', set, bound)
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
end
if #ids > 0 then call('SREM', Q .. ':retrying', unpack(ids)) end
for _, id in ipairs(ids) do finish(id, 'cancelled') end
return #ids
