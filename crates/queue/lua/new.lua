-- Put between the layout and the scripts that take new jobs in.

-- The job that holds a unique key, if that job still has a claim to it: a lock dies with its job.
local function holder_of(key, id)
  local holder = call('GET', Q .. ':unique:' .. key)
  if not holder or holder == id then return nil end
  local until_ = options_of(holder).unique_until
  if until_ == 'window' then return holder end
  if not until_ then return call('PTTL', Q .. ':unique:' .. key) > 0 and holder or nil end
  local state, attempts = parse(call('HGET', RUN, holder))
  if has_ended(state) or (until_ == 'started' and attempts ~= '0') then return nil end
  return holder
end

-- Stores a new job, ready or scheduled. `options` is '' or a JSON object: what of the job's options matters here.
-- Returns 1, or 0 when the id is taken, or the id of the job that holds its unique key. `batch` collects ready ids.
local function enqueue(id, payload, delay_ms, at_ms, options, batch)
  local due = math.max(at_ms, now + delay_ms)
  local option = options ~= '' and cjson.decode(options) or {}
  local holder = option.unique_key and holder_of(option.unique_key, id)
  if holder then return holder end
  if call('HSETNX', DATA, id, payload) == 0 then return 0 end
  if option.unique_key then
    local key = Q .. ':unique:' .. option.unique_key
    if option.unique_ms then call('SET', key, id, 'PX', int(option.unique_ms)) else call('SET', key, id) end
  end
  if due > now then
    call('HSET', RUN, id, record('scheduled', '0', '', '', '', '', int(due)))
    schedule(id, due)
    -- Whoever waits has to know of an earlier due time than that for which it waits.
    if call('ZRANGE', SCHEDULED, 0, 0)[1] == id then wake() end
  elseif option.priority then
    ready(id, option.priority)
  else
    batch[#batch + 1] = id
  end
  return 1
end

local function push(batch)
  if #batch > 0 then call('RPUSH', ACTIVE, unpack(batch)) end
end
