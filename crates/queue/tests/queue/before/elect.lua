#!lua
-- Elects or confirms the leading scheduler. KEYS: 1 leader, 2 epoch. ARGV: who asks, ms that the lease lasts.
-- Returns {epoch, or 0 while another leads, Redis's time in ms}. Invariant: one leader an epoch, epochs grow.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leader = redis.call('GET', KEYS[1])
if leader == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  -- Redis may have lost the one and kept the other.
  if not redis.call('GET', KEYS[2]) then redis.call('INCR', KEYS[2]) end
elseif not leader then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('INCR', KEYS[2])
else
  return { 0, now }
end
return { tonumber(redis.call('GET', KEYS[2])), now }
