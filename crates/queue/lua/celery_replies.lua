-- Hands out the results of Celery tasks that wait to be stored in another Redis, the oldest first, to one
-- worker at a time. ARGV: worker, ms that its turn lasts, how many and how many bytes at most; then the
-- results that it has stored. Returns nil while another worker has its turn, or {results dropped so far,
-- result, …}. Cost: O(what is handed out and was stored). Invariant: a result is removed only after it was
-- stored.
local replies, turn, bytes = Q .. ':replies', Q .. ':replies_turn', tonumber(ARGV[4])
for i = 5, #ARGV do
  if call('LREM', replies, 1, ARGV[i]) == 1 then
    call('HINCRBY', Q .. ':control', 'reply_bytes', -#ARGV[i])
    call('HINCRBY', Q .. ':celery', 'relayed', 1)
  end
end
local holder = call('GET', turn)
if holder and holder ~= ARGV[1] then return nil end
if call('EXISTS', replies) == 0 then
  call('HDEL', Q .. ':control', 'reply_bytes')
  call('DEL', turn)
  return { call('HGET', Q .. ':celery', 'dropped') or '0' }
end
call('SET', turn, ARGV[1], 'PX', ARGV[2])
local page = { call('HGET', Q .. ':celery', 'dropped') or '0' }
for i = 0, tonumber(ARGV[3]) - 1 do
  local text = bytes > 0 and call('LINDEX', replies, i)
  if not text then break end
  page[#page + 1] = text
  bytes = bytes - #text
end
return page
