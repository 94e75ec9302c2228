#!lua flags=allow-oom
-- Marks a session as revoked. A repetition keeps the time of the first revocation.
-- With ARGV 3 a repetition writes the same record again: WAIT covers only writes of its own connection.
--
-- KEYS  1 session  2 the agent's index, left out while its hash slot is being moved   (both with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds, 5 bytes, big endian)  2 session id (16 bytes)
--       3 'w' to write in any case; '' or left out otherwise
-- Reply 1 revoked now · 2 revoked earlier · 0 no such session
--
-- EVALSHA … 2 session:{3747}:0190… idx:{3747}:0000… <now> <id> w
-- If it runs late or twice, the result is the same. It also runs on a full server.
local record = call('GET', KEYS[1])
if not record then
  return 0
end
local reply = 2
if revoke_record(KEYS[1], record, ARGV[1]) then
  reply = 1
elseif ARGV[3] == 'w' then
  redis.call('SET', KEYS[1], record, 'KEEPTTL')
end
if KEYS[2] then
  -- An index of another type must not fail the revocation.
  redis.pcall('ZREM', KEYS[2], ARGV[2])
end
return reply
