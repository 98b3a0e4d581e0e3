-- Moves messages from the end of a Celery list into the queue, in one step, so that none is ever in neither.
-- KEYS: 1 queue, 2 the list. ARGV, seven a message: the message as it was read, '' or why it is a dead letter, and
-- the five of enqueue.lua, of which the last is what Celery clients are told of a dead letter. Stops at the first message
-- that is not at the end any more: another consumer was faster. Returns how many were moved. Cost: O(1) a message.
local moved, batch = 0, {}

local function bury(id, payload, reason, news)
  if call('HSETNX', DATA, id, payload) == 0 then return end
  call('HSET', RUN, id, record('dead', '0', '', '', '', now_text))
  call('ZADD', Q .. ':dead', now_text, id)
  remember(id, '0', reason)
  reply(news.replies)
  pass_on(news.push)
end

local function take(reason, id, payload, delay, at, options)
  if reason ~= '' then return bury(id, payload, reason, cjson.decode(options)) end
  -- Revoked before it was here.
  if call('EXISTS', Q .. ':revoked:' .. id) == 0 then
    enqueue(id, payload, tonumber(delay), tonumber(at), options, batch)
  elseif call('HSETNX', DATA, id, payload) == 1 then
    finish(id, 'cancelled')
  end
end

for i = 1, #ARGV, 7 do
  if call('LINDEX', KEYS[2], -1) ~= ARGV[i] then break end
  call('RPOP', KEYS[2])
  moved = moved + 1
  take(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
end
push(batch)
return moved
