-- Stores the outcomes of claims. ARGV: 1 how many ended jobs are kept, 2 how many dead ones; then nine a claim:
--   id, token, outcome, detail, number, job, run time in ms or '', its bucket, more ('' or JSON).
--   succeeded result            retry  error delay_ms      dead  error max_attempts      cancelled, expired
--   snoozed   ''     delay_ms   released                   (these two use no attempt)
-- `more` has unique_key, to be given back at the end, and for Celery: replies to those who wait, messages to push.
-- Returns for each 1, also when this claim's outcome was stored before and only the answer got lost; or 0 when the
-- lease was lost and another claim decides: nothing is stored then. A job that was cancelled has no other attempt.
-- Cost: O(log n) a claim.
-- Invariant: of the claims of a job, only the last one is accepted, and once.
local answers, settled, records, done, counts, ids, some_dead = {}, {}, {}, {}, {}, {}, false
local succeeded = {}
for i = 3, #ARGV, 9 do ids[#ids + 1] = ARGV[i] end
local runs, places = call('HMGET', RUN, unpack(ids)), call('HMGET', Q .. ':place', unpack(ids))
local cancels = call('HMGET', Q .. ':cancel', unpack(ids))

local function count(field, n)
  counts[field] = (counts[field] or 0) + n
end

-- What happens in the sets; returns the record, and whether the job has ended.
local function store(id, outcome, detail, number, attempts, token, worker, started)
  if outcome == 'succeeded' or outcome == 'cancelled' or outcome == 'expired' then
    done[#done + 1] = id
    local result = outcome == 'succeeded' and detail or ''
    return record(outcome, attempts, token, worker, started, now_text, '', result), true
  elseif outcome == 'dead' then
    if number ~= '' and tonumber(attempts) > tonumber(number) then attempts = number end
    call('ZADD', Q .. ':dead', now_text, id)
    remember(id, attempts, detail)
    some_dead = true
    return record('dead', attempts, token, worker, started, now_text), true
  elseif outcome == 'retry' then
    local due = now + tonumber(number)
    call('SADD', Q .. ':retrying', id)
    schedule(id, due)
    remember(id, attempts, detail)
    return record('retrying', attempts, token, worker, started, '', int(due))
  elseif outcome == 'snoozed' then
    local due = now + tonumber(number)
    schedule(id, due)
    return record('scheduled', ('%d'):format(attempts - 1), token, worker, started, '', int(due))
  end
  ready(id, options_of(id).priority, true)
  return record('ready', ('%d'):format(attempts - 1), token)
end

for n, id in ipairs(ids) do
  local i = 3 + (n - 1) * 9
  local outcome, job, run_ms, more = ARGV[i + 2], ARGV[i + 5], ARGV[i + 6], ARGV[i + 8]
  local state, attempts, token, worker, started = parse(runs[n])
  if token ~= ARGV[i + 1] then
    answers[n] = 0
  else
    answers[n] = 1
    if state == 'running' then
      settled[#settled + 1] = id
      -- Somebody has called it off: there is no next time.
      if cancels[n] and (outcome == 'retry' or outcome == 'snoozed' or outcome == 'released') then
        outcome = 'cancelled'
      end
      if places[n] then free_place(id, places[n]) end
      if outcome == 'retry' or outcome == 'snoozed' then call('HDEL', Q .. ':permit', id) end
      local text, ended = store(id, outcome, ARGV[i + 3], ARGV[i + 4], attempts, token, worker, started)
      records[#records + 1] = id
      records[#records + 1] = text
      count(job .. ':' .. outcome, 1)
      if outcome == 'succeeded' then succeeded[job] = true end
      if run_ms ~= '' then
        count(job .. ':ms', run_ms)
        count(job .. ':b' .. ARGV[i + 7], 1)
      end
      if more ~= '' then
        more = cjson.decode(more)
        if ended then free_key(id, more.unique_key) end
        reply(more.replies)
        pass_on(more.push)
      end
    end
  end
end
if #settled == 0 then return answers end

call('ZREM', LEASES, unpack(settled))
call('HSET', RUN, unpack(records))
if #done > 0 then
  call('RPUSH', Q .. ':done', unpack(done))
  local above = math.min(call('LLEN', Q .. ':done') - tonumber(ARGV[1]), 1000)
  if above > 0 then forget(call('LPOP', Q .. ':done', above)) end
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
