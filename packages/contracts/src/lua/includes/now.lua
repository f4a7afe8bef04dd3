-- Defines `now`, Redis' own time in ms at the start of the script, and `now_us`, the same in microseconds. A script that
-- seldom needs the time asks `clock`.

-- @include clock

local now_us = clock_us()
local now = math.floor(now_us / 1000)
