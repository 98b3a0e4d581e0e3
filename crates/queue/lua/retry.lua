-- Runs jobs again or at once: dead, cancelled and expired ones from their first attempt, those that wait for their
-- time right now. ARGV, two a job: id, new payload or '' for the old one. Returns the ids that were taken; not among
-- them is one whose unique key another job holds. Cost: O(log n) each; O(kept jobs) for one that was cancelled or has
-- expired.
local taken = {}

-- A job that runs again holds its key again.
local function take_key(id)
  local job = options_of(id)
  if type(job.unique_key) ~= 'string' or job.unique_until == 'window' then return true end
  if holder_of(job.unique_key, id) then return false end
  call('SET', Q .. ':unique:' .. job.unique_key, id)
  return true
end

for i = 1, #ARGV, 2 do
  local id, payload = ARGV[i], ARGV[i + 1]
  local state, attempts = parse(call('HGET', RUN, id))
  local has = (state == 'dead' or state == 'cancelled' or state == 'expired') and take_key(id)
  local is_listed = state == 'cancelled' and is_cancelled_in_place(id)
  local again = has and (is_listed or call('ZREM', Q .. ':dead', id) == 1 or call('LREM', Q .. ':done', 0, id) >= 1)
  if again or (not has_ended(state) and unschedule(id) == 1) then
    if again then
      attempts = '0'
      for _, family in ipairs({ ':cancel', ':unknown', ':progress' }) do call('HDEL', Q .. family, id) end
    end
    call('HSET', RUN, id, record('ready', attempts))
    if payload ~= '' then call('HSET', DATA, id, payload) end
    if not is_listed then ready(id, options_of(id).priority) end
    taken[#taken + 1] = id
  end
end
return taken
