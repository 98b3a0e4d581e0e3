-- Moves messages from the end of a Celery list into the queue, in one step, so that none is ever in neither.
-- KEYS: 1 queue, 2 the list. ARGV, seven a message: the message as it was read, '' or why it is a dead letter, and
-- the five of enqueue.lua. Stops at the first that is not at the end any more: another consumer was faster.
-- Returns how many were moved. Cost: O(1) a message.
local moved, batch = 0, {}

local function bury(id, payload, reason, options)
  if redis.call('HSETNX', DATA, id, payload) == 0 then return end
  redis.call('HSET', META .. id, 'enqueued_at', int(now), 'finished_at', int(now), 'state', 'dead', 'error', reason)
  redis.call('ZADD', DEAD, int(now), id)
  if options.reply_key then
    redis.call('SET', options.reply_key, options.reply, 'EX', 86400)
    redis.call('PUBLISH', options.reply_key, options.reply)
  end
end

local function take(reason, id, payload, delay, at, extra)
  if reason ~= '' then return bury(id, payload, reason, cjson.decode(extra)) end
  -- Revoked before it was here.
  if redis.call('EXISTS', Q .. ':revoked:' .. id) == 0 then
    enqueue(id, payload, tonumber(delay), tonumber(at), extra, batch)
  elseif redis.call('HSETNX', DATA, id, payload) == 1 then
    redis.call('HSET', META .. id, 'enqueued_at', int(now))
    finish(id, cjson.decode(extra), 'cancelled')
  end
end

for i = 1, #ARGV, 7 do
  if redis.call('LINDEX', KEYS[2], -1) ~= ARGV[i] then break end
  redis.call('RPOP', KEYS[2])
  moved = moved + 1
  take(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
end
push(batch)
return moved
