-- Enqueues jobs that are due now and have no option that matters here. KEYS[1] queue. ARGV, two a job: id, payload.
-- Returns for each job 1, or 0 when its id was there already, so that a producer may safely send it again.
-- Cost: O(1) a job; this is the shortest way in, so it has no prelude. Refused as a whole by a full Redis.
local data, active = KEYS[1] .. ':data', KEYS[1] .. ':active'
if #ARGV == 2 then
  if redis.call('HSETNX', data, ARGV[1], ARGV[2]) == 0 then return { 0 } end
  redis.call('RPUSH', active, ARGV[1])
  return { 1 }
end
local ids, pairs_, stored, fresh, seen = {}, {}, {}, {}, {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local known = redis.call('HMGET', data, unpack(ids))
for i, id in ipairs(ids) do
  if known[i] or seen[id] then
    stored[i] = 0
  else
    stored[i], seen[id] = 1, true
    fresh[#fresh + 1] = id
    pairs_[#pairs_ + 1] = id
    pairs_[#pairs_ + 1] = ARGV[2 * i]
  end
end
if #fresh > 0 then
  redis.call('HSET', data, unpack(pairs_))
  redis.call('RPUSH', active, unpack(fresh))
end
return stored
