-- Enqueues one tick of a schedule, at most once whoever asks: the slot (its nominal time due) is claimed in this step.
-- ARGV: epoch of the leader, schedule, slot in ms, definition, mode, overlap (skip|allow), then a job as in enqueue.lua.
-- mode: next  the slot has to be later than the last one of this definition
--       first only a schedule that never ran is enqueued
--       start nothing is enqueued; the slot is where counting begins (a new or changed schedule)
-- Returns {what happened, last slot in ms, last definition}: enqueued, started, overlapping, taken, or deposed
-- (a leader with a later epoch was here).
local epoch, name, slot, definition, mode, overlap = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local slot_field, definition_field, job_field = name .. ':slot', name .. ':definition', name .. ':job'

if epoch < tonumber(redis.call('HGET', SLOTS, ':epoch') or '0') then return { 'deposed', '0', '' } end
redis.call('HSET', SLOTS, ':epoch', int(epoch))

local last = redis.call('HMGET', SLOTS, slot_field, definition_field, job_field)
local same = last[2] == definition
local taken = { 'taken', last[1] or '0', last[2] or '' }
if mode == 'first' and last[1] then return taken end
if mode == 'start' and same then return taken end
if mode == 'next' and not (same and slot > tonumber(last[1])) then return taken end

redis.call('HSET', SLOTS, slot_field, int(slot), definition_field, definition)
if mode == 'start' then return { 'started', int(slot), definition } end

if overlap == 'skip' and last[3] then
  local state = redis.call('HGET', meta(last[3]), 'state')
  if state == 'ready' or state == 'running' or state == 'scheduled' or state == 'retrying' then
    return { 'overlapping', int(slot), definition }
  end
end
redis.call('HSET', SLOTS, job_field, ARGV[7])
enqueue(ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11])
return { 'enqueued', int(slot), definition }
