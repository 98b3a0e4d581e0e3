-- Enqueues ticks of schedules, each at most once whoever asks: the slot (its nominal time due) is claimed in this step.
-- ARGV: epoch of the leader, then ten a tick: schedule, slot in ms, definition, mode, overlap (skip|allow), and a job
-- as in enqueue.lua. mode:
--   next     the slot has to be later than the last one of this definition
--   first    only a schedule that never ran is enqueued
--   start    nothing is enqueued; the slot is where counting begins (a new or changed schedule, or one whose last slot
--            lies far ahead: Redis's clock was wrong)
--   restart  the same, also for one that is known: it was out of force for a while
-- Returns for each {what happened, last slot in ms, last definition}: enqueued, started, overlapping or taken; or
-- {'deposed'} alone when a leader with a later epoch was here. Cost: O(1) a tick.
local epoch, slots = tonumber(ARGV[1]), Q .. ':slots'
if epoch < tonumber(call('HGET', slots, ':epoch') or '0') then return { 'deposed' } end
local batch = {}
-- Of ticks that were due: how many, how late together, how many were passed over.
local enqueued, late_ms, skipped = 0, 0, 0

local function tick(name, slot, definition, mode, overlap, job)
  local slot_field, definition_field, job_field = name .. ':slot', name .. ':definition', name .. ':job'
  local last_slot, last_definition, last_job = unpack(call('HMGET', slots, slot_field, definition_field, job_field))
  local same = last_definition == definition
  local taken = (mode == 'first' and last_slot) or (mode == 'start' and same and tonumber(last_slot) <= now + 3600000)
    or (mode == 'next' and not (same and tonumber(slot) > tonumber(last_slot)))
  if taken then return { 'taken', last_slot or '0', last_definition or '' } end

  call('HSET', slots, slot_field, slot, definition_field, definition)
  if mode == 'start' or mode == 'restart' then return { 'started', slot, definition } end

  if overlap == 'skip' and last_job and call('HEXISTS', DATA, last_job) == 1 then
    if not has_ended((parse(call('HGET', RUN, last_job)))) then
      -- For people who ask why nothing ran.
      call('HSET', slots, name .. ':skipped', slot)
      skipped = skipped + 1
      return { 'overlapping', slot, definition }
    end
  end
  call('HSET', slots, job_field, job.id, name .. ':enqueued', slot)
  if mode == 'next' then enqueued, late_ms = enqueued + 1, late_ms + now - tonumber(slot) end
  enqueue(job, batch)
  return { 'enqueued', slot, definition }
end

local jobs, answers = {}, {}
for i = 2, #ARGV, 10 do jobs[#jobs + 1] = new_job(i + 5) end
call('HSET', slots, ':epoch', ARGV[1])
for n, job in ipairs(jobs) do
  local i = 2 + (n - 1) * 10
  answers[n] = tick(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], job)
end
push(batch)
for field, n in pairs({ enqueued = enqueued, late_ms = late_ms, skipped = skipped }) do
  if n ~= 0 then call('HINCRBY', slots, ':' .. field, int(n)) end
end
return answers
