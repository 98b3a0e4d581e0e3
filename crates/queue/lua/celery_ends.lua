-- Says what is at both ends of Celery lists. KEYS: the lists. Returns for each {length, mark of the left end,
-- mark of the right end}: a message's mark is its length and its last 200 bytes, among them its delivery tag.
-- Cost: O(1) a list.
local ends = {}
local function mark(message) return message and #message .. ':' .. message:sub(-200) or '' end
for i, list in ipairs(KEYS) do
  local left, right = redis.call('LINDEX', list, 0), redis.call('LINDEX', list, -1)
  ends[i] = { redis.call('LLEN', list), mark(left), mark(right) }
end
return ends
