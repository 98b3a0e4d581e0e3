-- Calls a job off. ARGV[1] id.
-- Returns '' when there is none, its state when it has ended before, 'cancelled' when it will not run, or 'running'
-- when its worker was told: it learns it with the next renewal. A job in a list keeps its place, and is dropped when
-- it is popped, since to look for it there would cost O(n). Cost: O(log n).
local id = ARGV[1]
local job = read(id)
if redis.call('HEXISTS', DATA, id) == 0 and not job.enqueued_at then return '' end
local state = job.state or 'ready'
if state == 'running' then
  redis.call('HSET', META .. id, 'cancel', int(now))
  return 'running'
end
if state ~= 'ready' and state ~= 'scheduled' and state ~= 'retrying' then return state end
if unschedule(id) == 1 or redis.call('ZREM', PRIORITIZED, id) == 1 then
  finish(id, job, 'cancelled')
else
  redis.call('HSET', META .. id, 'state', 'cancelled', 'finished_at', int(now))
  free_key(id, job.unique_key)
  tell_revoked(job, 'revoked')
end
return 'cancelled'
