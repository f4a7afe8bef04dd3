-- A job's member `m` of sorted sets is its arrival number, 16 digits, then ':' and its id: equal scores then sort by
-- arrival.

local function id_of(m) return string.sub(m, 18) end
local function arrival_of(m) return tonumber(string.sub(m, 1, 16)) end
