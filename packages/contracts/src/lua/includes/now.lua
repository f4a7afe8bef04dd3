-- Defines `now`, Redis' own time in ms: the only clock that all machines share.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
