#!lua
-- Adds a session unless its agent has its maximum of active ones; on demand in place of the oldest of them.
--
-- KEYS  1 session  2 the agent's index  3 agent  4 constraints
--       5… the agent's active sessions, once they are known   (all with the hash tag of the agent's bucket)
-- ARGV  1 when to run at the latest (milliseconds by the server's clock), or '' for whenever
--       2 now (epoch seconds)          3 limit of active sessions
--       4 what happens at the limit: refuse, or evict the session that was renewed or created the longest ago
--       5 session id (16 bytes)        6 expires_at (epoch seconds)
--       7 seconds to keep the session  8 index entries that expired before this (epoch seconds) are stale
--       9 constraints to keep apart, or '' when there are none or the record holds them
--       then of each session in KEYS 5…: its id (16 bytes), created at (epoch seconds); in the order of their ids
--       then the record's fields and values
-- Reply 1 added · 0 limit reached · -1 the agent was deleted · -2 there is a session with this id · -4 too late
--       · {1, ids} added, and the sessions with these ids were revoked
--       · {0, ids} nothing done: call again with these sessions, which are the active ones
--
-- EVALSHA … 4 session:{3747}:0190… index:{3747}:0000… agent:{3747}:0000… constraints:{3747}:0190…
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 ''
--           h <hash> a <agent> n 0 x 30 t 86400 e 1760086400 l 1762592000
-- Run late, it adds a session whose token nobody was given; the caller revokes it. A full server refuses it as a whole.
local now, limit, named = ARGV[2], tonumber(ARGV[3]), #KEYS - 4
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then
    return -4
  end
end
if redis.call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return -2
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[8])
local active = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
local evicted = {}
if active >= limit then
  if ARGV[4] ~= 'evict' or limit < 1 then
    return 0
  end
  local oldest = {}
  for i = 1, named do
    local key, id, at = KEYS[4 + i], ARGV[8 + 2 * i], tonumber(ARGV[9 + 2 * i])
    if tonumber(redis.call('ZSCORE', KEYS[2], id) or 0) > tonumber(now) then
      if redis.call('EXISTS', key) == 0 then
        at = 0
      else
        -- A key of another type holds no session, and must not keep the others from giving way.
        at = tonumber(redis.pcall('HGET', key, 'u')) or at
      end
      oldest[#oldest + 1] = { key = key, id = id, at = at, place = i }
    end
  end
  if #oldest ~= active then
    return { 0, redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf') }
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
redis.call('HSET', KEYS[1], unpack(ARGV, 10 + 2 * named))
redis.call('EXPIRE', KEYS[1], ARGV[7])
if ARGV[9] ~= '' then
  redis.call('SET', KEYS[4], ARGV[9], 'EX', ARGV[7])
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[7]) then
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
if #evicted > 0 then
  return { 1, evicted }
end
return 1
