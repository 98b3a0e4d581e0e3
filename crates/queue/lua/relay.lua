-- Enqueues jobs from an outbox, each position of a source once: the position is stored in the same step.
-- ARGV: source, then six a job: position, and the five of enqueue.lua. Positions grow.
-- Returns the last position that is stored now, the positions whose id was taken, and those whose unique key is held:
-- these were not enqueued. Invariant: a job was decided on in this queue iff its position is not above the last one.
local relayed = Q .. ':relayed'
local last = tonumber(call('HGET', relayed, ARGV[1]) or '0')
local jobs, batch, existing, held = {}, {}, {}, {}
for i = 2, #ARGV, 6 do
  local position = tonumber(ARGV[i])
  if not position then error({ err = 'ERR position `' .. ARGV[i] .. '` is not a number' }) end
  if position > last then
    jobs[#jobs + 1] = new_job(i + 1)
    jobs[#jobs].position = int(position)
    last = position
  end
end
for _, job in ipairs(jobs) do
  local stored = enqueue(job, batch)
  if stored == 0 then
    existing[#existing + 1] = job.position
  elseif stored ~= 1 then
    held[#held + 1] = job.position
  end
end
push(batch)
call('HSET', relayed, ARGV[1], int(last))
return { int(last), existing, held }
