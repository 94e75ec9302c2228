#!lua
-- Adds a session unless its agent has its maximum of active ones.
--
-- KEYS  1 session  2 the agent's index  3 agent  4 constraints   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)          2 limit of active sessions
--       3 session id (16 bytes)        4 expires_at (epoch seconds)
--       5 seconds to keep the session  6 index entries that expired before this (epoch seconds) are stale
--       7 constraints to keep apart, or '' when there are none or the record holds them
--       8… the record's fields and values
-- Reply 1 added · 0 limit reached · -1 the agent was deleted · -2 there is a session with this id
--
-- EVALSHA … 4 session:{3747}:0190… index:{3747}:0000… agent:{3747}:0000… constraints:{3747}:0190…
--           1760000000 5 <id> 1760086400 172800 1759913600 '' h <hash> a <agent> n 0 x 30 t 86400 e 1760086400 l 1762592000
-- Run late, it adds a session whose token nobody was given; the caller revokes it. A full server refuses it as a whole.
if redis.call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return -2
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[6])
if redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[1], '+inf') >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 8))
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[7] ~= '' then
  redis.call('SET', KEYS[4], ARGV[7], 'EX', ARGV[5])
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[5]) then
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
return 1
