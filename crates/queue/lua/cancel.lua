-- Cancels a job. ARGV: id, whether also when it runs (1|0).
-- Returns '' when there is none, its state when it has ended before, 'cancelled' when it will not run, or 'running'
-- when its worker is notified by the next renewal. A job in a list keeps its place, and is dropped when it is popped,
-- since a search in the list would cost O(n). Cost: O(log n).
local id = ARGV[1]
if call('HEXISTS', DATA, id) == 0 then return '' end
local state, attempts = parse(call('HGET', RUN, id))
if state == 'running' then
  if ARGV[2] == '0' then return state end
  call('HSET', Q .. ':cancel', id, now_text)
  return 'running'
end
if has_ended(state) then return state end
if unschedule(id) == 1 or call('ZREM', Q .. ':prioritized', id) == 1 or unpark(id) == 1 then
  finish(id, 'cancelled')
else
  cancel_in_place(id, attempts)
  local job = options_of(id)
  free_key(id, job.unique_key)
  tell_revoked(job.celery, 'revoked')
end
return 'cancelled'
