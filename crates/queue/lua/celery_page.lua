-- Reads a part of a Celery list. KEYS: the list. ARGV: right or left, the distance of the first message from
-- that end, how many messages and how many bytes at most. Returns {length of the list, message, …} from that
-- end on. Cost: O(what is returned); one message is returned however large it is.
local list, is_right, from = KEYS[1], ARGV[1] == 'right', tonumber(ARGV[2])
local count, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
-- Each reading begins with a walk from the end of the list, so small messages are read many at once.
local chunk_size, SMALL = 8, 4096
local page = { redis.call('LLEN', list) }
local above = math.min(from + count, page[1])
while from < above and bytes > 0 do
  local to = math.min(from + chunk_size, above) - 1
  local chunk, before = nil, bytes
  if is_right then
    chunk = redis.call('LRANGE', list, -1 - to, -1 - from)
  else
    chunk = redis.call('LRANGE', list, from, to)
  end
  for i = 1, #chunk do
    local message = chunk[is_right and #chunk + 1 - i or i]
    if bytes <= 0 then break end
    page[#page + 1] = message
    bytes = bytes - #message
  end
  if before - bytes < chunk_size * SMALL then chunk_size = math.min(chunk_size * 4, 128) end
  from = to + 1
end
return page
