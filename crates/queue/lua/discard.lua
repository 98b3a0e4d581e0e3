-- Forgets dead letters. ARGV: ids. Returns how many there were. Cost: O(log n) each.
local ids = {}
for _, id in ipairs(ARGV) do
  if call('ZREM', Q .. ':dead', id) == 1 then ids[#ids + 1] = id end
end
forget(ids)
return #ids
