-- Removes ended jobs that are older than their time to be kept, or above the number that is kept.
-- ARGV: ms and number to keep of ended jobs, the same of dead ones, how many to remove at most of each.
-- Returns how many were removed. Cost: O(log n) a removed job, bounded by ARGV[5].
local bound, done, dead = tonumber(ARGV[5]), Q .. ':done', Q .. ':dead'
local old = {}
local above = math.min(call('LLEN', done) - tonumber(ARGV[2]), bound)
if above > 0 then old = call('LPOP', done, above) end
while #old < bound do
  local first = call('LINDEX', done, 0)
  if not first then break end
  local finished = (call('HGET', RUN, first) or ''):match('^%a*\t%d*\t[^\t]*\t[^\t]*\t%d*\t(%d+)')
  if finished and tonumber(finished) > now - tonumber(ARGV[1]) then break end
  old[#old + 1] = call('LPOP', done)
end
forget(old)

local buried = call('ZRANGEBYSCORE', dead, '-inf', int(now - tonumber(ARGV[3])), 'LIMIT', 0, bound)
above = math.min(call('ZCARD', dead) - tonumber(ARGV[4]), bound)
if above > #buried then buried = call('ZRANGE', dead, 0, above - 1) end
if #buried > 0 then call('ZREM', dead, unpack(buried)) end
forget(buried)
return #old + #buried
