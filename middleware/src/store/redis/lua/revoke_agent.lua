#!lua flags=allow-oom
-- Revokes all sessions of an agent and can delete the agent in the same step.
-- With ARGV 5 it writes in any case: WAIT covers only writes of its own connection.
--
-- KEYS  1 the agent's index  2 agent  3… every session in the index   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)
--       2 seconds to keep the tombstone of the deleted agent
--       3 created at of the agent to delete (epoch seconds); '' keeps the agent
--       4 now (epoch seconds, 5 bytes, big endian)
--       5 'w' to write in any case; '' otherwise
--       6… the ids (16 bytes) of the sessions in KEYS, in the same order
-- Reply how many of the sessions were active · -1 the index holds other sessions than KEYS: read it again
--       · -2 the agent to delete does not exist, or was registered anew
--
-- EVALSHA … 3 idx:{3747}:0000… agent:{3747}:0000… session:{3747}:0190… 1760000000 3600 1759990000 <now> w <id>
-- If it runs late, it has no effect if a session was created or the agent was registered anew meanwhile. It also runs on a full
-- server.
local delete = ARGV[3] ~= ''
if delete and redis.call('HGET', KEYS[2], 'c') ~= ARGV[3] then
  return -2
end
if redis.call('ZCARD', KEYS[1]) ~= #KEYS - 2 then
  return -1
end
local active = 0
local expiries = {}
for i = 3, #KEYS do
  expiries[i] = redis.call('ZSCORE', KEYS[1], ARGV[i + 3])
  if not expiries[i] then
    return -1
  end
end
for i = 3, #KEYS do
  -- A key of another type holds no session. It must not prevent the revocation of the others.
  local record = redis.pcall('GET', KEYS[i])
  if record then
    if type(record) == 'string' and record ~= '' and record:byte(1) < 128 then
      redis.call('SET', KEYS[i], string.char(record:byte(1) + 128) .. record:sub(2) .. ARGV[4], 'KEEPTTL')
    end
    if tonumber(expiries[i]) > tonumber(ARGV[1]) then
      active = active + 1
    end
  end
end
if ARGV[5] == 'w' and #KEYS == 2 then
  -- Nothing is revoked. The index is created only to be deleted.
  redis.call('ZADD', KEYS[1], 0, '')
end
redis.call('DEL', KEYS[1])
if delete then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'd', ARGV[1])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return active
