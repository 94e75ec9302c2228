#!lua flags=allow-oom
-- Marks a session as revoked. The first time counts.
--
-- KEYS  1 session  2 the agent's index   (both with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)  2 session id (16 bytes)
-- Reply 1 revoked, now or before · 0 no such session
--
-- EVALSHA … 2 session:{3747}:0190… index:{3747}:0000… 1760000000 <id>
-- Run late or twice, it changes nothing more. It runs on a full server too.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSETNX', KEYS[1], 'r', ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
