#!lua
-- Creates a session, unless its agent has its maximum of active sessions. With "evict", the oldest of them are revoked to make room.
--
-- KEYS  1 session  2 the agent's index  3 agent  then, with an idempotency key, its retry entry
--       then the agent's active sessions, for "evict"   (all with the hash tag of the agent's bucket)
-- ARGV  1 deadline (milliseconds by the server's clock), or '' for none
--       2 now (epoch seconds)          3 maximum of active sessions
--       4 at the maximum: "refuse", or "evict" the least recently renewed or created session
--       5 session id (16 bytes)        6 expires_at (epoch seconds)
--       7 seconds to keep the session  8 index entries that expired before this (epoch seconds) are stale
--       9 the record (LAYOUT.md)       10 now (epoch seconds, 5 bytes, big endian)
--       11 the retry entry (LAYOUT.md), or '' without an idempotency key   12 seconds to keep it
--       then for each active session in KEYS: its id (16 bytes), created at (epoch seconds); ordered by id
-- Reply 1 created · 0 maximum reached · -1 the agent was deleted · -2 a session with this id exists
--       · -3 the idempotency key was used with another request · -4 deadline passed
--       · {1, ids} created, and the sessions with these ids were revoked
--       · {0, ids} nothing done: call again with these sessions, which are the active ones
--       · {2, ids} nothing created: the first session is that of an earlier creation with this key, which revoked the others
--
-- EVALSHA … 3 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000…
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 <record> <now> '' ''
-- EVALSHA … 4 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000… retry:{3747}:5d41…
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 <record> <now> <entry> 120
-- If it runs late:
--   without an idempotency key, it creates a session whose token was never delivered. The caller revokes this session.
--   with a key, and no entry of it: it creates the session. The caller revokes it, unless a repetition has marked the entry
--   (revoke_undelivered.lua).
--   with a key, and an entry of it: it marks the entry, and creates nothing.
-- A full server rejects the whole script.

-- A big-endian number in these bytes of a string.
local function number(bytes, first, last)
  local value = 0
  for i = first, last do
    value = value * 256 + bytes:byte(i)
  end
  return value
end

-- Seconds from a session's creation to its last renewal: bytes 50 to 53 of the record, big endian. 0 if it was never renewed.
local function renewed_after(record)
  if #record < 53 or record:byte(1) % 2 == 0 then
    return 0
  end
  return number(record, 50, 53)
end

local now, limit, retry = ARGV[2], tonumber(ARGV[3]), ARGV[11]
-- The keys before those of the active sessions.
local own = retry == '' and 3 or 4
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then
    return -4
  end
end
if redis.call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
if retry ~= '' then
  local entry = redis.call('GET', KEYS[4])
  if entry and number(entry, 50, 54) > tonumber(now) then
    if entry:sub(18, 49) ~= retry:sub(18, 49) then
      return -3
    end
    if entry:byte(1) == 0 then
      redis.call('SET', KEYS[4], '\1' .. entry:sub(2), 'KEEPTTL')
    end
    local ids = { entry:sub(2, 17) }
    for i = 55, #entry, 16 do
      ids[#ids + 1] = entry:sub(i, i + 15)
    end
    return { 2, ids }
  end
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
  for i = 1, #KEYS - own do
    local key, id, at = KEYS[own + i], ARGV[11 + 2 * i], tonumber(ARGV[12 + 2 * i])
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
if retry ~= '' then
  redis.call('SET', KEYS[4], retry .. table.concat(evicted), 'EX', ARGV[12])
end
if #evicted > 0 then
  return { 1, evicted }
end
return 1
