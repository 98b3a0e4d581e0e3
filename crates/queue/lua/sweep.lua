-- Removes ended jobs that are older than their time to be kept, or above the number that is kept.
-- ARGV: ms and number to keep of succeeded jobs, the same of dead ones, how many to remove at most of each.
-- Returns how many were removed.
local bound = tonumber(ARGV[5])

local function sweep(ended, keep_ms, keep_count)
  local ids = redis.call('ZRANGEBYSCORE', ended, '-inf', int(now - keep_ms), 'LIMIT', 0, bound)
  local above = math.min(redis.call('ZCARD', ended) - keep_count, bound)
  if above > #ids then ids = redis.call('ZRANGE', ended, 0, above - 1) end
  for _, id in ipairs(ids) do
    redis.call('ZREM', ended, id)
    redis.call('HDEL', DATA, id)
    redis.call('DEL', meta(id))
  end
  return #ids
end

return sweep(DONE, tonumber(ARGV[1]), tonumber(ARGV[2])) + sweep(DEAD, tonumber(ARGV[3]), tonumber(ARGV[4]))
