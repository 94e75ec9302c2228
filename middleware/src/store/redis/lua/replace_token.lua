#!lua
-- Replaces a session's token if the expected one is still the current one (compare-and-swap).
--
-- KEYS  1 session  2 the agent's index  3 constraints  4 agent   (all with the hash tag of the agent's bucket)
-- ARGV  1 when to run at the latest (milliseconds by the server's clock), or '' for whenever
--       2 hash of the expected token (32 bytes)  3 session id (16 bytes)
--       4 expires_at (epoch seconds)             5 seconds to keep the session
--       6… the record's fields to set, the new token's hash (h) among them, and their values
-- Reply 1 replaced · -1 revoked, or the agent was deleted · -2 no such session · -4 too late
--       · an array: another token is the current one; the record's fields h a n o x t e l u r c p k g
--
-- EVALSHA … 4 session:{3747}:0190… index:{3747}:0000… constraints:{3747}:0190… agent:{3747}:0000…
--           1760043201250 <hash> <id> 1760129600 172800 h <hash> n 1 e 1760129600 u 1760043200
-- Run late, it does nothing unless the expected token is still the current one. It never runs much later than it was sent: the
-- window in which a renewal can be repeated counts from the time in its fields.
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then
    return -4
  end
end
local record = redis.call('HMGET', KEYS[1], 'h', 'r')
if not record[1] then
  return -2
end
if record[2] or redis.call('HEXISTS', KEYS[4], 'd') == 1 then
  return -1
end
if record[1] ~= ARGV[2] then
  return redis.call('HMGET', KEYS[1], 'h', 'a', 'n', 'o', 'x', 't', 'e', 'l', 'u', 'r', 'c', 'p', 'k', 'g')
end
-- First: an index of another type fails here, with nothing changed.
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
-- What told of the renewal before.
redis.call('HDEL', KEYS[1], 'p', 'k')
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[5])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[5]) then
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
return 1
