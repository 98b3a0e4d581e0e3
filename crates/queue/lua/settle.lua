-- Stores the outcomes of claims. ARGV: 1 how many ended jobs there may be, 2 how many dead ones; then nine a claim:
--   id, token, outcome, detail, number, job, run time in ms or '', its bucket, more ('' or JSON).
--   succeeded result            retry  error delay_ms      dead  error max_attempts      cancelled, expired
--   snoozed   ''     delay_ms   released                   unknown  error, ms after which it is dead
--   (snoozed, released and unknown use no attempt)
-- `unknown`: the worker does not know the job's name. It is put back for 1, 2, 4 … 30 s, for one that does.
-- `more` has unique_key, to be given back at the end, and for Celery: replies to clients that wait, messages to push.
-- Returns for each 1, also when this claim's outcome was stored before and only the answer got lost; 2 when a job that
-- no worker has known for so long is dead; or 0 when the lease was lost and another claim decides: nothing is stored
-- then. A job that was cancelled has no other attempt.
-- Cost: O(log n) a claim.
-- Invariant: of the claims of a job, only the last one is accepted, and once. After an error, nothing is stored.
local NEEDS_NUMBER = { retry = true, snoozed = true, unknown = true }
local answers, settled, records, done, counts, ids, some_dead = {}, {}, {}, {}, {}, {}, false
local succeeded, mores, known, limited = {}, {}, {}, {}
for i = 3, #ARGV, 9 do
  ids[#ids + 1] = ARGV[i]
  mores[#ids] = ARGV[i + 8] ~= '' and cjson.decode(ARGV[i + 8]) or {}
  if NEEDS_NUMBER[ARGV[i + 2]] and not tonumber(ARGV[i + 4]) then
    error({ err = 'ERR outcome of job `' .. ARGV[i] .. '`: `' .. ARGV[i + 4] .. '` is not a number' })
  end
end
local runs, cancels = call('HMGET', RUN, unpack(ids)), call('HMGET', Q .. ':cancel', unpack(ids))
local places, permits = call('HMGET', Q .. ':place', unpack(ids)), call('HMGET', Q .. ':permit', unpack(ids))

local function count(field, n)
  counts[field] = (counts[field] or 0) + n
end

local function bury(id, attempts, token, worker, started, failure)
  call('ZADD', Q .. ':dead', now_text, id)
  remember(id, attempts, failure)
  some_dead = true
  return record('dead', attempts, token, worker, started, now_text), true
end

local function put_back(id, state, due, attempts, token, worker, started)
  schedule(id, due)
  return record(state, attempts, token, worker, started, '', int(due))
end

-- Since when no worker has known the job's name, and how often it was put back for that.
local function unknown_since(id)
  local since, times = (call('HGET', Q .. ':unknown', id) or ''):match('^(%d+)\t(%d+)$')
  return tonumber(since or now), tonumber(times or 0)
end

-- What happens in the sets; returns the record, and whether the job has ended.
local function store(id, outcome, detail, number, attempts, token, worker, started)
  local before = ('%d'):format(attempts - 1)
  if outcome == 'succeeded' or outcome == 'cancelled' or outcome == 'expired' then
    done[#done + 1] = id
    local result = outcome == 'succeeded' and detail or ''
    return record(outcome, attempts, token, worker, started, now_text, '', result), true
  elseif outcome == 'dead' then
    if number ~= '' and tonumber(attempts) > tonumber(number) then attempts = number end
    return bury(id, attempts, token, worker, started, detail)
  elseif outcome == 'retry' then
    call('SADD', Q .. ':retrying', id)
    remember(id, attempts, detail)
    return put_back(id, 'retrying', now + number, attempts, token, worker, started)
  elseif outcome == 'snoozed' then
    return put_back(id, 'scheduled', now + number, before, token, worker, started)
  elseif outcome == 'unknown' then
    local since, times = unknown_since(id)
    if times == 0 then remember(id, before, detail) end
    call('HSET', Q .. ':unknown', id, int(since) .. '\t' .. int(math.min(times + 1, 10)))
    return put_back(id, 'scheduled', now + math.min(2 ^ times, 30) * 1000, before, token, worker, started)
  end
  ready(id, options_of(id).priority, true)
  return record('ready', before, token)
end

for n, id in ipairs(ids) do
  local i = 3 + (n - 1) * 9
  local outcome, job, run_ms = ARGV[i + 2], ARGV[i + 5], ARGV[i + 6]
  local state, attempts, token, worker, started = parse(runs[n])
  if token ~= ARGV[i + 1] then
    answers[n] = 0
  else
    answers[n] = 1
    if state == 'running' then
      settled[#settled + 1] = id
      if places[n] or permits[n] then limited[#limited + 1] = id end
      local number = ARGV[i + 4]
      if outcome == 'unknown' and now - unknown_since(id) >= tonumber(number) then
        answers[n], outcome, number = 2, 'dead', ''
      end
      -- A worker that drains gives jobs back before it knows their names.
      if outcome ~= 'unknown' and outcome ~= 'released' then known[#known + 1] = id end
      -- It was cancelled: there is no next time.
      if cancels[n] and (NEEDS_NUMBER[outcome] or outcome == 'released') then outcome = 'cancelled' end
      local text, ended = store(id, outcome, ARGV[i + 3], number, attempts, token, worker, started)
      records[#records + 1] = id
      records[#records + 1] = text
      count(job .. ':' .. outcome, 1)
      if outcome == 'succeeded' then succeeded[job] = true end
      if run_ms ~= '' then
        count(job .. ':ms', run_ms)
        count(job .. ':b' .. ARGV[i + 7], 1)
      end
      if ended then free_key(id, mores[n].unique_key) end
      if outcome ~= 'unknown' then
        reply(mores[n].replies)
        pass_on(mores[n].push)
      end
    end
  end
end
if #settled == 0 then return answers end

call('ZREM', LEASES, unpack(settled))
call('HSET', RUN, unpack(records))
-- After the records: whether a place is free is read from them.
for _, id in ipairs(limited) do free_limits(id) end
if #known > 0 and call('EXISTS', Q .. ':unknown') == 1 then call('HDEL', Q .. ':unknown', unpack(known)) end
if #done > 0 then
  call('RPUSH', Q .. ':done', unpack(done))
  local above = math.min(call('LLEN', Q .. ':done') - tonumber(ARGV[1]), 1000)
  if above > 0 then forget_done(call('LPOP', Q .. ':done', above)) end
end
if some_dead then
  local above, old = math.min(call('ZCARD', Q .. ':dead') - tonumber(ARGV[2]), 1000), {}
  local popped = above > 0 and call('ZPOPMIN', Q .. ':dead', above) or {}
  for i = 1, #popped, 2 do old[#old + 1] = popped[i] end
  forget(old)
end
local stats = Q .. ':stats:' .. int(math.floor(now / 60000))
for field, n in pairs(counts) do
  call('HINCRBY', stats, field, int(n))
  call('HINCRBY', Q .. ':totals', field, int(n))
end
call('EXPIRE', stats, 90000)
for job in pairs(succeeded) do call('HSET', Q .. ':last_success', job, now_text) end
return answers
