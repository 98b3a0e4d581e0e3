-- Remembers ids that were revoked, for tasks that have not arrived yet. ARGV: ms that they are remembered, then ids.
-- The oldest are forgotten first when there are more than MOST, which is Celery's own bound. Cost: O(log n) an id.
local MOST, revoked, until_ = 50000, Q .. ':revoked', int(now + tonumber(ARGV[1]))
local members = {}
for i = 2, #ARGV do
  members[#members + 1] = until_
  members[#members + 1] = ARGV[i]
end
local old = call('ZRANGEBYSCORE', revoked, '-inf', now_text, 'LIMIT', 0, 2 * #members)
if #old > 0 then call('ZREM', revoked, unpack(old)) end
call('ZADD', revoked, unpack(members))
local above = call('ZCARD', revoked) - MOST
if above > 0 then call('ZPOPMIN', revoked, above) end
call('PEXPIRE', revoked, ARGV[1])
