#!lua flags=allow-oom
-- Revokes the session of a failed creation with an idempotency key, and frees the key. Does nothing if a repetition has asked for
-- the session: its token may have been delivered.
--
-- KEYS  1 session  2 the agent's index  3 retry entry   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds, 5 bytes, big endian)  2 session id (16 bytes)
-- Reply 1 revoked · 0 nothing done
--
-- EVALSHA … 3 session:{3747}:0190… idx:{3747}:0000… retry:{3747}:5d41… <now> <id>
-- If it runs twice, the second run does nothing.
-- If it runs after the entry expired, it does not revoke the session: a repetition may have asked for it before.
-- It also runs on a full server.
local entry = call('GET', KEYS[3])
if not entry or entry:byte(1) ~= 0 or entry:sub(2, 17) ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[3])
local record = call('GET', KEYS[1])
if not record then
  return 0
end
revoke_record(KEYS[1], record, ARGV[1])
-- An index of another type must not fail the revocation.
redis.pcall('ZREM', KEYS[2], ARGV[2])
return 1
