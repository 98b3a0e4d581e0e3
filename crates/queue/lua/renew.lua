-- Renews leases for ARGV[1] ms. ARGV[2..], two a job: id, token. Returns the ids whose lease is no longer this claim's.
local lost = {}
for i = 2, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  if redis.call('HGET', meta(id), 'token') == token and redis.call('ZSCORE', LEASES, id) then
    redis.call('ZADD', LEASES, int(now + tonumber(ARGV[1])), id)
  else
    lost[#lost + 1] = id
  end
end
return lost
