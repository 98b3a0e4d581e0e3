-- Runs jobs again or at once: dead, cancelled and expired ones from their first attempt, those that wait for their
-- time right now. ARGV: new payload or '' for the old one, then ids. Returns the ids that were taken.
-- Cost: O(log n) each; O(kept jobs) for one that was cancelled or has expired.
local taken = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local state, attempts = parse(call('HGET', RUN, id))
  local again = call('ZREM', Q .. ':dead', id) == 1
    or ((state == 'cancelled' or state == 'expired') and call('LREM', Q .. ':done', -1, id) == 1)
  if again or unschedule(id) == 1 then
    if again then
      attempts = '0'
      for _, family in ipairs({ ':cancel', ':permit', ':progress' }) do call('HDEL', Q .. family, id) end
    end
    call('HSET', RUN, id, record('ready', attempts))
    if ARGV[1] ~= '' then call('HSET', DATA, id, ARGV[1]) end
    ready(id, options_of(id).priority)
    taken[#taken + 1] = id
  end
end
return taken
