-- Moves messages of a Celery list into the queue, in one step, so that none is ever in neither.
-- KEYS: 1 queue, 2 the list. ARGV: 1 a value that no message has; then nine a message, the oldest first: its
-- distance from the right end when it was read; the message as it was read; '' or what takes its place in the
-- list; '' or why it is a dead letter; and the five of enqueue.lua, of which the last is, for a dead letter,
-- what Celery clients get. An empty id: the message is only removed.
-- Other consumers take from the right end at the same time, which brings all messages nearer to it. A message
-- that is no longer near its place ends the step, and those before it are moved. The order of the others does
-- not change. An id that has ended is free again, as in Celery; a job that waits or runs is kept.
-- Returns what happened to each message that was moved: taken, refused, duplicate, revoked, removed.
-- Cost: O(distance from the nearer end) a call for those without a replacement; for each message a walk over
-- the nodes of the list; LREM of `done` for an id that has ended, at most AGAIN a call.
local list, tombstone = KEYS[2], ARGV[1]
local FIELDS, WINDOW, AGAIN = 9, 32, 4
local length = call('LLEN', list)

-- The distance of a message from the right end; more than `above`.
local function find(expected, message, above)
  if expected > above and call('LINDEX', list, -1 - expected) == message then return expected end
  local nearest = math.max(expected - WINDOW, above + 1)
  if expected <= nearest then return nil end
  for i, other in ipairs(call('LRANGE', list, -expected, -1 - nearest)) do
    if other == message then return expected - i end
  end
end

-- Everything that may fail is tried before the first write.
local places, jobs, shift = {}, {}, 0
for i = 2, #ARGV, FIELDS do
  local expected = tonumber(ARGV[i]) - shift
  local place = find(expected, ARGV[i + 1], places[#places] or -1)
  if not place then break end
  shift = shift + expected - place
  places[#places + 1] = place
  jobs[#places] = ARGV[i + 4] ~= '' and new_job(i + 4) or { id = '' }
  jobs[#places].refusal = ARGV[i + 3]
end

local answers, counts, batch, again = {}, {}, {}, 0

-- Makes an id free. False while its job waits or runs; nil when this step has done so often enough. The
-- second value is true when the id is still in a list of jobs that wait: a job that was cancelled there keeps
-- its place.
local function make_room(id)
  if call('HEXISTS', DATA, id) == 0 then return true end
  if not has_ended((parse(call('HGET', RUN, id)))) then return false end
  if again == AGAIN then return nil end
  again = again + 1
  local is_listed = is_cancelled_in_place(id)
  if call('ZREM', Q .. ':dead', id) == 0 then call('LREM', Q .. ':done', 0, id) end
  unpark(id)
  forget({ id })
  return true, is_listed
end

-- Whether an id is free or that of a Celery task. What cannot be read replaces no job of another producer.
local function is_own(id)
  if call('HEXISTS', DATA, id) == 0 then return true end
  local celery = options_of(id).celery
  return type(celery) == 'table' and celery.id == id
end

-- Answers the sender.
local function refuse(job)
  reply(job.options.replies)
  pass_on(job.options.push)
  return 'refused'
end

-- The same, and keeps it as a dead letter.
local function bury(job)
  call('HSET', DATA, job.id, job.payload)
  call('HSET', RUN, job.id, record('dead', '0', '', '', '', now_text))
  call('ZADD', Q .. ':dead', now_text, job.id)
  remember(job.id, '0', job.refusal)
  return refuse(job)
end

-- The version before has a key for each id.
local function is_revoked(id)
  local until_ = call('ZSCORE', Q .. ':revoked', id)
  return until_ and tonumber(until_) > now or call('EXISTS', Q .. ':revoked:' .. id) == 1
end

local function take(job)
  local id = job.id
  if id == '' then return 'removed' end
  if job.refusal ~= '' and not is_own(id) then return refuse(job) end
  local is_free, is_listed = make_room(id)
  if is_free == nil then return nil end
  if not is_free then return 'duplicate' end
  if job.refusal ~= '' then return bury(job) end
  -- Revoked before it was here.
  if is_revoked(id) then
    call('HSET', DATA, id, job.payload)
    if is_listed then
      cancel_in_place(id, '0')
      tell_revoked(options_of(id).celery, 'revoked')
    else
      finish(id, 'cancelled')
    end
    return 'revoked'
  end
  enqueue(job, batch)
  return 'taken'
end

for n = 1, #places do
  local answer = take(jobs[n])
  if not answer then break end
  answers[n] = answer
  counts[answer] = (counts[answer] or 0) + 1
end
push(batch)

-- Removes them. Those at the very end are popped; the others are marked and then removed from the nearer end.
local at_the_end, from_right, from_left = 0, 0, 0
while at_the_end < #answers and places[at_the_end + 1] == at_the_end do at_the_end = at_the_end + 1 end
for n = at_the_end + 1, #answers do
  local place, replacement = places[n], ARGV[2 + (n - 1) * FIELDS + 2]
  call('LSET', list, -1 - place, replacement ~= '' and replacement or tombstone)
  if replacement == '' then
    if place < length / 2 then from_right = from_right + 1 else from_left = from_left + 1 end
  end
end
if from_right > 0 then call('LREM', list, -from_right, tombstone) end
if from_left > 0 then call('LREM', list, from_left, tombstone) end
if at_the_end > 0 then call('RPOP', list, at_the_end) end
for answer, n in pairs(counts) do call('HINCRBY', Q .. ':celery', answer, n) end
return answers
