-- Enqueues jobs. ARGV, five a job: id, payload, delay in ms, time due in ms (0: none), '' or options as JSON
-- (unique_key, unique_ms, priority). Returns for each job 1; or 0 when its id was there already, so that a producer
-- may safely send it again; or the id of the job that holds its unique key. Cost: O(log n) a job.
-- Invariant: all jobs are stored, or, after an error, none.
local jobs, stored, batch = {}, {}, {}
for i = 1, #ARGV, 5 do jobs[#jobs + 1] = new_job(i) end
for n, job in ipairs(jobs) do stored[n] = enqueue(job, batch) end
push(batch)
return stored
