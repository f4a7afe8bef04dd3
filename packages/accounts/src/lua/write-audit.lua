-- Writes down a change that is made elsewhere.
--
-- ARGV[1] prefix
-- ARGV[2] action
-- ARGV[3] target
-- ARGV[4] after      JSON
-- ARGV[5] who
-- ARGV[6] from
-- ARGV[7] audit_max
-- Returns nothing
-- Sent again: it is written down twice, as a change that was tried twice is.

-- @include audit

audit(action, target, '', after)
