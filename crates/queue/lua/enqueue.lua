-- Enqueues jobs. ARGV, five a job: id, payload, delay in ms, time due in ms (0: none), '' or options as JSON
-- (unique_key, unique_ms, priority). Returns for each job 1; or 0 when its id was there already, so that a producer
-- may safely send it again; or the id of the job that holds its unique key. Cost: O(log n) a job.
local stored, batch = {}, {}
for i = 1, #ARGV, 5 do
  stored[#stored + 1] = enqueue(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4], batch)
end
push(batch)
return stored
