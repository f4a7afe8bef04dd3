-- Days and months of Redis' clock, UTC.

-- @include now

local DAY_MS = 86400000

-- Returns YYYY-MM-DD. Counts years from March: then the leap day is the last of its year.
local function date_of(at_ms)
  local days = math.floor(at_ms / DAY_MS) + 719468
  local era = math.floor(days / 146097)
  local in_era = days - era * 146097
  local years = math.floor((in_era - math.floor(in_era / 1460) + math.floor(in_era / 36524) -
    math.floor(in_era / 146096)) / 365)
  local in_year = in_era - (365 * years + math.floor(years / 4) - math.floor(years / 100))
  local shifted = math.floor((5 * in_year + 2) / 153)
  local day = in_year - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = years + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, day)
end

local function month_of(date) return string.sub(date, 1, 7) end

-- Epoch ms of the midnight that ends the day.
local function day_end() return (math.floor(now / DAY_MS) + 1) * DAY_MS end
-- The same of the month.
local function month_end()
  local at, month = day_end(), month_of(date_of(now))
  while month_of(date_of(at)) == month do at = at + DAY_MS end
  return at
end
