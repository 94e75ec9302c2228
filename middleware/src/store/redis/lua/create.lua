#!lua
-- Adds a session unless its agent has its maximum of active ones and none of them is to give way.
--
-- KEYS  1 session  2 the agent's index  3 agent  4 constraints
--       5… the agent's active sessions, if the oldest is to give way   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)          2 limit of active sessions
--       3 session id (16 bytes)        4 expires_at (epoch seconds)
--       5 seconds to keep the session  6 index entries that expired before this (epoch seconds) are stale
--       7 constraints to keep apart, or '' when there are none or the record holds them
--       then of each session in KEYS 5…: its id (16 bytes), created at (epoch seconds)
--       then the record's fields and values
-- Reply 1 added · 0 limit reached · -1 the agent was deleted · -2 there is a session with this id
--       · -3 other sessions are active than those named: read the index again
--       · an array: added, and the sessions with these ids, renewed or created the longest ago, were revoked
--
-- EVALSHA … 4 session:{3747}:0190… index:{3747}:0000… agent:{3747}:0000… constraints:{3747}:0190…
--           1760000000 5 <id> 1760086400 172800 1759913600 '' h <hash> a <agent> n 0 x 30 t 86400 e 1760086400 l 1762592000
-- Run late, it adds a session whose token nobody was given; the caller revokes it. A full server refuses it as a whole.
local now, limit, named = ARGV[1], tonumber(ARGV[2]), #KEYS - 4
if redis.call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return -2
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[6])
local active = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
local evicted = {}
if active >= limit then
  if named == 0 then
    return 0
  end
  local oldest = {}
  for i = 1, named do
    local id, created = ARGV[6 + 2 * i], ARGV[7 + 2 * i]
    if tonumber(redis.call('ZSCORE', KEYS[2], id) or 0) > tonumber(now) then
      -- A key of another type holds no session, and must not keep the others from giving way.
      local renewed = tonumber(redis.pcall('HGET', KEYS[4 + i], 'u'))
      oldest[#oldest + 1] = { key = KEYS[4 + i], id = id, at = renewed or tonumber(created), place = i }
    end
  end
  if #oldest ~= active then
    return -3
  end
  table.sort(oldest, function(a, b)
    return a.at < b.at or (a.at == b.at and a.place < b.place)
  end)
  for i = 1, active - limit + 1 do
    if redis.call('EXISTS', oldest[i].key) == 1 then
      redis.pcall('HSETNX', oldest[i].key, 'r', now)
    end
    redis.call('ZREM', KEYS[2], oldest[i].id)
    evicted[i] = oldest[i].id
  end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 8 + 2 * named))
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[7] ~= '' then
  redis.call('SET', KEYS[4], ARGV[7], 'EX', ARGV[5])
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[5]) then
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
if #evicted > 0 then
  return evicted
end
return 1
