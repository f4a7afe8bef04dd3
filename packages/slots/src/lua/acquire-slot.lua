-- Takes a slot of the resource with the least to do of those that have one left for this lease: held slots count
-- double, the penalty once. One step, so that jobs that choose at the same moment do not all choose the same.
-- Without one the lease joins all their lines.
--
-- ARGV[1] prefix
-- ARGV[2] lease       sent again, the script finds it where it put it
-- ARGV[3] lease_ms
-- ARGV[4] limit       slots of each resource
-- ARGV[5] said        when it came, as an earlier reply said; '' for now
-- ARGV[6] wait_ms     how long it counts as waiting; 0 to stand in no line
-- ARGV[7..] resources for each: key of its leases, penalty
-- Returns the number of the resource in the list, from 1, or 0; when the lease came; ms until it asks again
-- Sent again: as the first time: the lease is found where it was put, or in its line.
-- Caller dies: the lease runs out, and gives the slot or the turn back.

-- @include slot-lines

local most, wait = tonumber(limit), tonumber(wait_ms)
local came = came_at(lease, said, resources[1])
local best, least, left, ask_in = 0, nil, 0, wait
for i = 1, #resources, 2 do
  if has_slot(resources[i], lease) then
    best, left = i, 0
    break
  end
  local free, soonest = find_free(resources[i], most, came)
  local rank = redis.call('ZCARD', resources[i]) * 2 + resources[i + 1]
  if free == 0 then
    ask_in = math.min(ask_in, soonest)
  elseif not least or rank < least then
    best, least, left = i, rank, free - 1
  end
end
if best == 0 then
  if wait > 0 then
    for i = 1, #resources, 2 do join_line(resources[i], lease, came, wait) end
    keep_waiting(lease, wait)
  end
  return { 0, came, ask_in }
end
hold(resources[best], lease, lease_ms)
if stop_waiting(lease) then
  for i = 1, #resources, 2 do
    redis.call('ZREM', line_of(resources[i]), lease)
    if i ~= best or left > 0 then wake_line(resources[i]) end
  end
end
return { (best + 1) / 2, came, 0 }
