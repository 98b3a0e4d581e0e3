-- Enqueues ticks of schedules, each at most once: the slot (its nominal time due) is claimed in this script.
-- ARGV: epoch of the leader, prefix of its book's fields ('' for the default book, else `BOOK/`), then eleven a tick:
-- schedule, slot in ms, definition, mode, ms that its last slot may lie ahead of the clock, overlap (skip|allow), and a
-- job as in enqueue.lua. mode:
--   next     the slot has to be later than the last one of this definition
--   start    nothing is enqueued; the slot is where counting begins. A schedule that counts already by this definition
--            goes on, unless its last slot lies too far ahead: Redis's clock has gone back
--   first    as start, and a schedule that has no slot yet is enqueued once
--   end      the schedule is not in force any more. Its definition becomes empty, which no schedule has: whenever it is
--            in force again, counting begins anew. Programs that know no `end` read it so too
--   forget   removes all that is known of a schedule whose last slot is not later than this one
-- Definition, overlap and job are empty for `end` and `forget`.
-- Returns for each {what happened, last slot in ms, last definition}: enqueued, started, overlapping, ended, forgotten or
-- taken; or {'deposed'} alone when a leader of this book with a later epoch was here. Cost: O(1) a tick.
-- Everything that may be wrong is checked before the first write.
local MODES = { next = true, start = true, first = true, ['end'] = true, forget = true }
local epoch, prefix, slots = tonumber(ARGV[1]), ARGV[2], Q .. ':slots'
if not (epoch and prefix) or (#ARGV - 2) % 11 ~= 0 then return redis.error_reply('ERR tick: wrong arguments') end
local jobs = {}
for i = 3, #ARGV, 11 do
  local mode = ARGV[i + 3]
  if not (MODES[mode] and tonumber(ARGV[i + 1]) and tonumber(ARGV[i + 4])) then
    return redis.error_reply('ERR tick: wrong arguments for schedule ' .. ARGV[i])
  end
  jobs[#jobs + 1] = (mode == 'next' or mode == 'first') and new_job(i + 6) or {}
end
local epoch_field = prefix .. ':epoch'
if epoch < (tonumber(call('HGET', slots, epoch_field)) or 0) then return { 'deposed' } end

call('HSET', slots, epoch_field, ARGV[1])
local batch = {}
-- Of ticks that were due: how many, how late together, how many were passed over.
local enqueued, late_ms, skipped = 0, 0, 0

local function tick(name, slot, definition, mode, ahead, overlap, job)
  name = prefix .. name
  local slot_field, definition_field, job_field = name .. ':slot', name .. ':definition', name .. ':job'
  local last_slot, last_definition, last_job = unpack(call('HMGET', slots, slot_field, definition_field, job_field))
  local is_known = last_slot
  last_slot = tonumber(last_slot) or 0
  if mode == 'end' then
    if is_known then call('HSET', slots, definition_field, '') end
    return { 'ended', int(last_slot), '' }
  end
  if mode == 'forget' then
    if last_slot > tonumber(slot) then return { 'taken', int(last_slot), last_definition or '' } end
    call('HDEL', slots, slot_field, definition_field, job_field, name .. ':enqueued', name .. ':skipped')
    return { 'forgotten', '0', '' }
  end
  local same = is_known and last_definition == definition
  local taken
  if mode == 'next' then
    taken = not (same and tonumber(slot) > last_slot)
  else
    taken = same and last_slot <= now + tonumber(ahead)
  end
  if taken then return { 'taken', int(last_slot), last_definition or '' } end

  call('HSET', slots, slot_field, slot, definition_field, definition)
  if mode == 'start' or (mode == 'first' and is_known) then return { 'started', slot, definition } end

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

local answers = {}
for n, job in ipairs(jobs) do
  local i = 3 + (n - 1) * 11
  answers[n] = tick(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], job)
end
push(batch)
for field, n in pairs({ enqueued = enqueued, late_ms = late_ms, skipped = skipped }) do
  if n ~= 0 then call('HINCRBY', slots, ':' .. field, int(n)) end
end
return answers
