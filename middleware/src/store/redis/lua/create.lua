#!lua
-- Creates a session, unless its agent has its maximum of active sessions. With "evict", the oldest of them are revoked to make room.
--
-- KEYS  1 session  2 the agent's index  3 agent
--       4… the agent's active sessions, for "evict"   (all with the hash tag of the agent's bucket)
-- ARGV  1 deadline (milliseconds by the server's clock), or '' for none
--       2 now (epoch seconds)          3 maximum of active sessions
--       4 at the maximum: "refuse", or "evict" the least recently renewed or created session
--       5 session id (16 bytes)        6 expires_at (epoch seconds)
--       7 seconds to keep the session  8 index entries that expired before this (epoch seconds) are stale
--       9 the record (LAYOUT.md)       10 now (epoch seconds, 5 bytes, big endian)
--       then for each session in KEYS 4…: its id (16 bytes), created at (epoch seconds); ordered by id
-- Reply 1 created · 0 maximum reached · -1 the agent was deleted · -2 a session with this id exists · -4 deadline passed
--       · {1, ids} created, and the sessions with these ids were revoked
--       · {0, ids} nothing done: call again with these sessions, which are the active ones
--
-- EVALSHA … 3 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000…
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 <record> <now>
-- If it runs late, it creates a session whose token was never delivered. The caller then revokes it. A full server
-- rejects the whole script.

-- Seconds from a session's creation to its last renewal: bytes 50 to 53 of the record, big endian. 0 if it was never renewed.
local function renewed_after(record)
  local a, b, c, d = record:byte(50, 53)
  if not d or record:byte(1) % 2 == 0 then
    return 0
  end
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local now, limit, named = ARGV[2], tonumber(ARGV[3]), #KEYS - 3
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
    local key, id, at = KEYS[3 + i], ARGV[9 + 2 * i], tonumber(ARGV[10 + 2 * i])
    if tonumber(redis.call('ZSCORE', KEYS[2], id) or 0) > tonumber(now) then
      -- A key of another type holds no session. It must not prevent the eviction of the others.
      local record = redis.pcall('GET', key)
      if type(record) ~= 'string' or record == '' then
        record, at = nil, 0
      else
        at = at + renewed_after(record)
      end
      oldest[#oldest + 1] = { key = key, id = id, at = at, place = i, record = record }
    end
  end
  if #oldest ~= active then
    return { 0, redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf') }
  end
  table.sort(oldest, function(a, b)
    return a.at < b.at or (a.at == b.at and a.place < b.place)
  end)
  for i = 1, active - limit + 1 do
    local record = oldest[i].record
    if record and record:byte(1) < 128 then
      record = string.char(record:byte(1) + 128) .. record:sub(2) .. ARGV[10]
      redis.call('SET', oldest[i].key, record, 'KEEPTTL')
    end
    redis.call('ZREM', KEYS[2], oldest[i].id)
    evicted[i] = oldest[i].id
  end
end
redis.call('SET', KEYS[1], ARGV[9], 'EX', ARGV[7])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[7]) then
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
if #evicted > 0 then
  return { 1, evicted }
end
return 1
