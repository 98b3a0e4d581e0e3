-- Renews leases for ARGV[1] ms. ARGV[2..], three a job: id, token, progress as JSON or ''.
-- Returns two lists of indices, from 0: whose lease is no longer this claim's, and what somebody has cancelled.
-- Cost: O(log n) a job. Invariant: a lease is renewed by the claim that holds it, and by no other.
local lost, cancelled, leases = {}, {}, {}
for i = 2, #ARGV, 3 do
  local index, id, token, progress = (i - 2) / 3, ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local theirs, state, cancel = unpack(redis.call('HMGET', META .. id, 'token', 'state', 'cancel'))
  if theirs == token and state == 'running' then
    leases[#leases + 1] = int(now + tonumber(ARGV[1]))
    leases[#leases + 1] = id
    if cancel then cancelled[#cancelled + 1] = index end
    if progress ~= '' then redis.call('HSET', META .. id, 'progress', progress) end
  else
    lost[#lost + 1] = index
  end
end
if #leases > 0 then redis.call('ZADD', LEASES, 'XX', unpack(leases)) end
return { lost, cancelled }
