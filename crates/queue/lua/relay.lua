-- Enqueues jobs from an outbox, each position of a source once: the position is stored in the same step.
-- ARGV: source, then six a job: position, and the five of enqueue.lua. Positions grow.
-- Returns the last position that is stored now. Invariant: a job is in this queue iff its position is not above it.
local relayed = Q .. ':relayed'
local last = tonumber(call('HGET', relayed, ARGV[1]) or '0')
local batch = {}
for i = 2, #ARGV, 6 do
  local position = tonumber(ARGV[i])
  if position > last then
    enqueue(ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 5], batch)
    last = position
  end
end
push(batch)
call('HSET', relayed, ARGV[1], int(last))
return int(last)
