-- Takes a waiter out of lines, and wakes those behind it: a slot that was kept for it may be theirs.
--
-- ARGV[1] prefix
-- ARGV[2] lease
-- ARGV[3] stays       1 when it waits on in other lines
-- ARGV[4..] resources keys of their leases
-- Returns nothing
-- Sent again: nothing: it has left.

-- @include slot-lines

if stays ~= '1' then stop_waiting(lease) end
for _, leases in ipairs(resources) do leave_line(leases, lease) end
