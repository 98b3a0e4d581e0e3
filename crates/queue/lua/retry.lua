-- Runs jobs again or at once: dead, cancelled and expired ones from their first attempt, those that wait for their
-- time right now. ARGV: new payload or '' for the old one, then ids. Returns the ids that were taken. Cost: O(log n) each.
local taken = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local job = read(id)
  local ended = redis.call('ZREM', DEAD, id) == 1
    or ((job.state == 'cancelled' or job.state == 'expired') and redis.call('ZREM', DONE, id) == 1)
  if ended or unschedule(id) == 1 then
    if ended then
      redis.call('HSET', META .. id, 'attempts', 0)
      redis.call('HDEL', META .. id, 'token', 'worker', 'finished_at', 'cancel', 'expires_at', 'permit', 'limit')
    end
    redis.call('HSET', META .. id, 'state', 'ready', 'run_at', int(now))
    if ended then redis.call('HSET', META .. id, 'replayed_at', int(now)) end
    if ARGV[1] ~= '' then redis.call('HSET', DATA, id, ARGV[1]) end
    ready(id, job.priority)
    taken[#taken + 1] = id
  end
end
return taken
