-- Reads a page of `data`. ARGV: cursor, about how many jobs.
-- Returns {next cursor, ids that should be in `active` or `done`, ids that are in no collection}. Changes nothing.
-- Cost: O(log n) a job of the page.
local page = call('HSCAN', DATA, ARGV[1], 'COUNT', ARGV[2])
local ids, listed, missing = {}, {}, {}
for i = 1, #page[2], 2 do ids[#ids + 1] = page[2][i] end
for from = 1, #ids, 500 do
  local to = math.min(from + 499, #ids)
  local runs = call('HMGET', RUN, unpack(ids, from, to))
  for i = from, to do
    local place = whereabouts(ids[i], runs[i - from + 1])
    if place == 'list' then listed[#listed + 1] = ids[i] elseif not place then missing[#missing + 1] = ids[i] end
  end
end
return { page[1], listed, missing }
