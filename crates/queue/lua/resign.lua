-- Gives the lead up, so that another scheduler takes it at once. KEYS: 1 leader. ARGV: who asks.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
