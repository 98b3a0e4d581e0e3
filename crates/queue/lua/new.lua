-- Put between the layout and the scripts that accept new jobs. Such a script first reads all of its jobs (`new_job`),
-- which refuses what Redis would refuse later, and stores the first one only then (`enqueue`): an error in the middle
-- would leave jobs in `data` and in no collection.

local function is_number(value, least)
  return type(value) == 'number' and value >= least and value <= 2 ^ 53
end

-- Reads the job of five arguments, from ARGV[i] on: id, payload, delay in ms, time due in ms (0: none), and '' or the
-- options that matter here as a JSON object: unique_key, unique_ms, priority.
local function new_job(i)
  local job = { id = ARGV[i], payload = ARGV[i + 1], delay = tonumber(ARGV[i + 2]), at = tonumber(ARGV[i + 3]) }
  local ok, options = true, {}
  if ARGV[i + 4] ~= '' then ok, options = pcall(cjson.decode, ARGV[i + 4]) end
  local is_valid = ok and type(options) == 'table' and (job.id or '') ~= '' and is_number(job.delay, 0)
    and is_number(job.at, -2 ^ 53) and (options.unique_key == nil or type(options.unique_key) == 'string')
    and (options.unique_ms == nil or is_number(options.unique_ms, 1))
    and (options.priority == nil or is_number(options.priority, 0))
  if not is_valid then
    error({ err = 'ERR job `' .. tostring(job.id) .. '`: its delay, time or options are out of range' })
  end
  job.options = options
  return job
end

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

-- Stores a new job, ready or scheduled. Returns 1, or 0 when the id is taken, or the id of the job that holds its
-- unique key. `batch` collects ready ids.
local function enqueue(job, batch)
  local id, option, due = job.id, job.options, math.max(job.at, now + job.delay)
  local holder = option.unique_key and holder_of(option.unique_key, id)
  if holder then return holder end
  if call('HSETNX', DATA, id, job.payload) == 0 then return 0 end
  if option.unique_key then
    local key = Q .. ':unique:' .. option.unique_key
    if option.unique_ms then call('SET', key, id, 'PX', int(option.unique_ms)) else call('SET', key, id) end
  end
  if due > now then
    call('HSET', RUN, id, record('scheduled', '0', '', '', '', '', int(due)))
    schedule(id, due)
    -- A worker that waits has to know of an earlier due time than that for which it waits.
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
