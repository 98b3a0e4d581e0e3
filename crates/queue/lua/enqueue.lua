-- Enqueues jobs. ARGV, five a job: id, payload, delay in ms, time due in ms (0: none), metadata as a JSON object.
-- Returns for each job 1, or 0 when its id was there already, so that a producer may safely send it again.
local stored = {}
for i = 1, #ARGV, 5 do
  stored[#stored + 1] = enqueue(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4])
end
return stored
