-- Removes ended jobs that are older than their time to be kept, or above the number that is kept.
-- ARGV: ms and number to keep of ended jobs, the same of dead ones, how many to remove at most of each.
-- Returns how many were removed. Cost: O(log n) a removed job, bounded by ARGV[5].
local bound = tonumber(ARGV[5])

local function sweep(ended, keep_ms, keep_count)
  local ids = redis.call('ZRANGEBYSCORE', ended, '-inf', int(now - keep_ms), 'LIMIT', 0, bound)
  local above = math.min(redis.call('ZCARD', ended) - keep_count, bound)
  if above > #ids then ids = redis.call('ZRANGE', ended, 0, above - 1) end
  if #ids > 0 then redis.call('ZREM', ended, unpack(ids)) end
  forget(ids)
  return #ids
end

return sweep(DONE, tonumber(ARGV[1]), tonumber(ARGV[2])) + sweep(DEAD, tonumber(ARGV[3]), tonumber(ARGV[4]))
