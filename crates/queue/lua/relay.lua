-- Enqueues jobs from an outbox, each position of a source once: the position is stored in the same step.
-- ARGV: source, then six a job: position, and the five of enqueue.lua. Positions grow.
-- Returns the last position that is stored now. Invariant: a job is in this queue iff its position is not above it.
local relayed = Q .. ':relayed'
local last = tonumber(call('HGET', relayed, ARGV[1]) or '0')
local jobs, batch = {}, {}
for i = 2, #ARGV, 6 do
  local position = tonumber(ARGV[i])
  if not position then error({ err = 'ERR position `' .. ARGV[i] .. '` is not a number' }) end
  if position > last then
    jobs[#jobs + 1] = new_job(i + 1)
    last = position
  end
end
for _, job in ipairs(jobs) do enqueue(job, batch) end
push(batch)
call('HSET', relayed, ARGV[1], int(last))
return int(last)
