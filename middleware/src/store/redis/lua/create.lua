#!lua
-- Creates a session, unless its agent has its maximum of active sessions. With "evict", the oldest of them are revoked to make room.
--
-- KEYS  1 session  2 the agent's index  3 agent  4 epochs of agents  then, with an idempotency key, its retry entry
--       then the agent's active sessions, at the maximum   (all with the hash tag of the agent's bucket)
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
-- At the maximum, it first removes the index entries of active sessions whose record is missing or revoked. They hold no place.
-- The record gets the epoch of its agent, if the agent has one.
--
-- EVALSHA … 4 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000… gone:{3747}
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 <record> <now> '' ''
-- EVALSHA … 5 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000… gone:{3747} retry:{3747}:5d41…
--           1760000001250 1760000000 5 refuse <id> 1760086400 172800 1759913600 <record> <now> <entry> 120
-- If it runs late:
--   without an idempotency key, it creates a session whose token was never delivered. The caller revokes this session.
--   with a key, and no entry of it: it creates the session. The caller revokes it, unless a repetition has marked the entry
--   (revoke_undelivered.lua).
--   with a key, and an entry of it: it marks the entry, and creates nothing.
-- A full server rejects the whole script.

-- Seconds from a session's creation to its last renewal: bytes 50 to 53 of the record, big endian. 0 if it was never renewed.
local function renewed_after(record)
  if #record < 53 or record:byte(1) % 2 == 0 then
    return 0
  end
  return number(record, 50, 53)
end

local now, limit, keep, retry = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[7]), ARGV[11]
local record, agent = ARGV[9], ARGV[9]:sub(34, 49)
-- The keys before those of the active sessions.
local own = retry == '' and 4 or 5
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then
    return -4
  end
end
if call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
if retry ~= '' then
  local entry = call('GET', KEYS[5])
  if entry and (#entry < 54 or (#entry - 54) % 16 ~= 0) then
    damaged(KEYS[5])
  end
  if entry and number(entry, 50, 54) > tonumber(now) then
    if entry:sub(18, 49) ~= retry:sub(18, 49) then
      return -3
    end
    if entry:byte(1) == 0 then
      redis.call('SET', KEYS[5], '\1' .. entry:sub(2), 'KEEPTTL')
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
local epochs = read_epochs(KEYS[4])
local epoch = find_epoch(epochs, agent)
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[8])
local active = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
local evicted = {}
if active >= limit then
  if limit < 1 then
    return 0
  end
  local oldest, missing = {}, active
  for i = 1, #KEYS - own do
    local key, id, at = KEYS[own + i], ARGV[11 + 2 * i], tonumber(ARGV[12 + 2 * i])
    if tonumber(redis.call('ZSCORE', KEYS[2], id) or 0) > tonumber(now) then
      missing = missing - 1
      local stored = redis.pcall('GET', key)
      if not stored or (type(stored) == 'string' and is_revoked(stored, epoch)) then
        redis.call('ZREM', KEYS[2], id)
        active = active - 1
      else
        -- A damaged record must not prevent the eviction of the others. It is evicted first.
        if type(stored) ~= 'string' or stored == '' then
          stored, at = nil, 0
        else
          at = at + renewed_after(stored)
        end
        oldest[#oldest + 1] = { key = key, id = id, at = at, place = i, record = stored }
      end
    end
  end
  if missing > 0 and active >= limit then
    return { 0, redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf') }
  end
  if active >= limit and ARGV[4] ~= 'evict' then
    return 0
  end
  table.sort(oldest, function(a, b)
    return a.at < b.at or (a.at == b.at and a.place < b.place)
  end)
  for i = 1, active - limit + 1 do
    if oldest[i].record then
      revoke_record(oldest[i].key, oldest[i].record, ARGV[10])
    end
    redis.call('ZREM', KEYS[2], oldest[i].id)
    evicted[i] = oldest[i].id
  end
end
keep_epoch(KEYS[4], epochs, agent, keep)
if epoch > 0 then
  record = string.char(record:byte(1) + 2) .. record:sub(2) .. four_bytes(epoch)
end
redis.call('SET', KEYS[1], record, 'EX', ARGV[7])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
if redis.call('TTL', KEYS[2]) < keep then
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
if retry ~= '' then
  redis.call('SET', KEYS[5], retry .. table.concat(evicted), 'EX', ARGV[12])
end
if #evicted > 0 then
  return { 1, evicted }
end
return 1
