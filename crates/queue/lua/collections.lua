-- Put between the layout and the scripts that compare `data` with the collections.

-- Where a stored job is: true when it is in a collection in which one id can be found; 'list' when it should be in one
-- of the lists `active` and `done`, which are not searched; false when it is in no collection.
local function whereabouts(id, run)
  local state = parse(run)
  if state == 'running' then return call('ZSCORE', LEASES, id) ~= false end
  if state == 'scheduled' or state == 'retrying' then return call('ZSCORE', SCHEDULED, id) ~= false end
  if state == 'dead' then return call('ZSCORE', Q .. ':dead', id) ~= false end
  if state == 'ready' then
    -- Other producers put a job into `scheduled` without a record.
    local found = call('ZSCORE', Q .. ':prioritized', id) or call('HEXISTS', Q .. ':parked', id) == 1
      or call('ZSCORE', SCHEDULED, id)
    if found then return true end
  end
  return 'list'
end
