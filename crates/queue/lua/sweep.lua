-- Removes ended jobs that are older than their time to be kept, or above the number that is kept; none that ended just
-- now, so that a client that waits for it learns its outcome.
-- ARGV: ms and number to keep of ended jobs, the same of dead ones, how many to remove at most of each, ms that every
-- ended job is kept. Returns how many were removed. Cost: O(log n) a removed job, bounded by ARGV[5].
local bound, done, dead = tonumber(ARGV[5]), Q .. ':done', Q .. ':dead'
local recent = now - tonumber(ARGV[6])
local count, old = call('LLEN', done), {}
while #old < bound do
  local first = call('LINDEX', done, 0)
  if not first then break end
  local finished = (call('HGET', RUN, first) or ''):match('^%a*\t%d*\t[^\t]*\t[^\t]*\t%d*\t(%d+)')
  local is_above = count - #old > tonumber(ARGV[2])
  local newest = is_above and recent or math.min(recent, now - tonumber(ARGV[1]))
  if finished and tonumber(finished) > newest then break end
  old[#old + 1] = call('LPOP', done)
end
forget_done(old)

local newest = math.min(recent, now - tonumber(ARGV[3]))
local buried = call('ZRANGEBYSCORE', dead, '-inf', int(newest), 'LIMIT', 0, bound)
local above = math.min(call('ZCARD', dead) - tonumber(ARGV[4]), bound)
if above > #buried then buried = call('ZRANGEBYSCORE', dead, '-inf', int(recent), 'LIMIT', 0, above) end
if #buried > 0 then call('ZREM', dead, unpack(buried)) end
forget(buried)
return #old + #buried
