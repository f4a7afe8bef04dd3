-- One page over several sorted sets as if they were one, without reading what lies before it: the score at the
-- page's first rank is found by bisection with ZCOUNT, so the cost is that of the page plus some 40 counts per
-- set. Scores must be whole numbers (milliseconds). Equal scores are ordered by set, then by member.
--
-- ARGV[1] order   desc | asc
-- ARGV[2] first   how many to pass over
-- ARGV[3] most    members to return
-- ARGV[4..] sets  keys of sorted sets
-- Returns {total, member...}
-- Sent again: it only reads.

local descending, offset, limit = order == 'desc', tonumber(first), tonumber(most)
local total = 0
for _, set in ipairs(sets) do total = total + redis.call('ZCARD', set) end
local page = { total }
if offset >= total or limit <= 0 then return page end
local function text(score) return string.format('%.0f', score) end
-- How many members stand before every member of this score.
local function before(score)
  local count = 0
  for _, set in ipairs(sets) do
    if descending then count = count + redis.call('ZCOUNT', set, '(' .. text(score), '+inf')
    else count = count + redis.call('ZCOUNT', set, '-inf', '(' .. text(score)) end
  end
  return count
end
local low, high
for _, set in ipairs(sets) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[1] then
    local last = redis.call('ZRANGE', set, -1, -1, 'WITHSCORES')
    if not low or tonumber(first[2]) < low then low = tonumber(first[2]) end
    if not high or tonumber(last[2]) > high then high = tonumber(last[2]) end
  end
end
-- The score at rank offset: the farthest one with at most offset members before it.
while low < high do
  if descending then
    local middle = math.floor((low + high) / 2)
    if before(middle) <= offset then high = middle else low = middle + 1 end
  else
    local middle = math.floor((low + high + 1) / 2)
    if before(middle) <= offset then low = middle else high = middle - 1 end
  end
end
local start = low
local skip = offset - before(start)
for _, set in ipairs(sets) do
  local equal = redis.call('ZCOUNT', set, text(start), text(start))
  if skip >= equal then
    skip = skip - equal
  elseif #page <= limit then
    local members
    local need = limit - #page + 1
    if descending then members = redis.call('ZRANGE', set, text(start), text(start), 'BYSCORE', 'REV', 'LIMIT', skip, need)
    else members = redis.call('ZRANGE', set, text(start), text(start), 'BYSCORE', 'LIMIT', skip, need) end
    skip = 0
    for _, m in ipairs(members) do page[#page + 1] = m end
  end
end
local need = limit - #page + 1
if need <= 0 then return page end
local rest = {}
for index, set in ipairs(sets) do
  local found
  if descending then found = redis.call('ZRANGE', set, '(' .. text(start), '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, need, 'WITHSCORES')
  else found = redis.call('ZRANGE', set, '(' .. text(start), '+inf', 'BYSCORE', 'LIMIT', 0, need, 'WITHSCORES') end
  for i = 1, #found, 2 do rest[#rest + 1] = { tonumber(found[i + 1]), index, i, found[i] } end
end
table.sort(rest, function(a, b)
  if a[1] ~= b[1] then if descending then return a[1] > b[1] else return a[1] < b[1] end end
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[3] < b[3]
end)
for i = 1, math.min(need, #rest) do page[#page + 1] = rest[i][4] end
return page
