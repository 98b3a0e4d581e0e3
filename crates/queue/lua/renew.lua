-- Renews leases for ARGV[1] ms. ARGV[2..], three a job: id, token, progress as JSON or ''.
-- Returns two lists of indices, from 0: whose lease is no longer this claim's, and what somebody has cancelled.
-- Cost: O(log n) a job. Invariant: a lease is renewed by the claim that holds it, and by no other.
local ids, lost, cancelled, leases, lease_end = {}, {}, {}, {}, int(now + tonumber(ARGV[1]))
for i = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
local runs, cancels = call('HMGET', RUN, unpack(ids)), call('HMGET', Q .. ':cancel', unpack(ids))
for n, id in ipairs(ids) do
  local state, _, token = parse(runs[n])
  if token == ARGV[3 * n] and state == 'running' then
    leases[#leases + 1] = lease_end
    leases[#leases + 1] = id
    if cancels[n] then cancelled[#cancelled + 1] = n - 1 end
    local progress = ARGV[3 * n + 1]
    if progress ~= '' then call('HSET', Q .. ':progress', id, progress) end
  else
    lost[#lost + 1] = n - 1
  end
end
if #leases > 0 then call('ZADD', LEASES, 'XX', unpack(leases)) end
return { lost, cancelled }
