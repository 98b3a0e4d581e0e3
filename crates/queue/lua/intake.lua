-- Moves messages from the end of a Celery list into the queue, in one step, so that none is ever in neither.
-- KEYS: 1 queue, 2 the list. ARGV, seven a message: the message as it was read, '' or why it is a dead letter, and
-- the five of enqueue.lua, of which the last is what Celery clients are told of a dead letter. Stops at the first message
-- that is not at the end any more: another consumer was faster. Returns how many were moved. Cost: O(1) a message.
local moved, jobs, batch = 0, {}, {}
for i = 1, #ARGV, 7 do jobs[#jobs + 1] = new_job(i + 2) end

local function bury(job, reason)
  if call('HSETNX', DATA, job.id, job.payload) == 0 then return end
  call('HSET', RUN, job.id, record('dead', '0', '', '', '', now_text))
  call('ZADD', Q .. ':dead', now_text, job.id)
  remember(job.id, '0', reason)
  reply(job.options.replies)
  pass_on(job.options.push)
end

local function take(reason, job)
  if reason ~= '' then return bury(job, reason) end
  -- Revoked before it was here.
  if call('EXISTS', Q .. ':revoked:' .. job.id) == 0 then
    enqueue(job, batch)
  elseif call('HSETNX', DATA, job.id, job.payload) == 1 then
    finish(job.id, 'cancelled')
  end
end

for n, job in ipairs(jobs) do
  local i = 1 + (n - 1) * 7
  if call('LINDEX', KEYS[2], -1) ~= ARGV[i] then break end
  call('RPOP', KEYS[2])
  moved = moved + 1
  take(ARGV[i + 1], job)
end
push(batch)
return moved
