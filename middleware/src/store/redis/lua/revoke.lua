#!lua flags=allow-oom
-- Marks a session as revoked. A repetition keeps the time of the first revocation.
--
-- KEYS  1 session  2 the agent's index   (both with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds, 5 bytes, big endian)  2 session id (16 bytes)
-- Reply 1 revoked, now or earlier · 0 no such session
--
-- EVALSHA … 2 session:{3747}:0190… idx:{3747}:0000… <now> <id>
-- If it runs late or twice, the result is the same. It also runs on a full server.
local record = redis.call('GET', KEYS[1])
if not record then
  return 0
end
if (record:byte(1) or 255) < 128 then
  redis.call('SET', KEYS[1], string.char(record:byte(1) + 128) .. record:sub(2) .. ARGV[1], 'KEEPTTL')
end
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
