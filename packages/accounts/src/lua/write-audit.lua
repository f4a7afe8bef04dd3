-- Writes down a change that is made elsewhere.
--
-- ARGV[1] prefix
-- ARGV[2] action
-- ARGV[3] target
-- ARGV[4] before     JSON
-- ARGV[5] after      JSON; '' for nothing
-- ARGV[6] who
-- ARGV[7] from
-- ARGV[8] audit_max
-- Returns nothing
-- Sent again: it is written down twice, as a change that was tried twice is.

-- @include audit

audit(action, target, before, after)
