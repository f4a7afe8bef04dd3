-- Where a job stands among those of its tenant: by its number, or so far before or behind it that no number reaches
-- there. Numbers of jobs with another priority than normal count to a thousandth.

local PRIORITY_STEP = 1099511627776
local function rank_of(number, priority)
  if priority == 'high' then return number - PRIORITY_STEP end
  if priority == 'low' then return number + PRIORITY_STEP end
  return number
end

local function number_of(rank)
  if rank < -PRIORITY_STEP / 2 then return rank + PRIORITY_STEP end
  if rank > PRIORITY_STEP / 2 then return rank - PRIORITY_STEP end
  return rank
end
