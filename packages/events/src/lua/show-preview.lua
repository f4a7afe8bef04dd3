-- Sends a preview of a running job to whoever listens, for as long as the claim is valid.
--
-- ARGV[1] prefix
-- ARGV[2] id       of the job
-- ARGV[3] claim
-- ARGV[4] client   'n' for none, else 'y' and the client_id
-- ARGV[5] message
-- ARGV[6] keep_s   how long it is kept for sockets that come back; 0: it is not
-- Returns 1, or 0 when the claim is void
-- Sent again: the same picture is shown twice.

-- @include claim
-- @include everyone
-- @keys preview client_channel

if not is_held(id, claim) then return 0 end
if keep_s ~= '0' then redis.call('SET', preview_key(id), message, 'EX', keep_s) end
if client == 'n' then
  redis.call('PUBLISH', everyone_of(id), message)
elseif client ~= 'y' then
  redis.call('PUBLISH', client_channel(string.sub(client, 2)), message)
end
return 1
