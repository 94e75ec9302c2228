#!lua flags=allow-oom
-- Revokes all sessions of an agent, and on demand deletes the agent, in one step.
--
-- KEYS  1 the agent's index  2 agent  3… every session in the index   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)
--       2 seconds for which the deleted agent is remembered; 0 keeps the agent
--       3 when the agent to be deleted was created (epoch seconds); '' keeps the agent
--       4 now (epoch seconds, 5 bytes, big endian)
--       5… the ids (16 bytes) of the sessions in KEYS, in their order
-- Reply how many of the sessions were active · -1 the index holds other sessions than those named: read it again
--       · -2 the agent is to be deleted and there is none, or another one by now
--
-- EVALSHA … 3 idx:{3747}:0000… agent:{3747}:0000… session:{3747}:0190… 1760000000 3600 1759990000 <now> <id>
-- Run late, it does nothing when a session was added or the agent registered anew meanwhile; else nothing more than the
-- caller asked for. It runs on a full server too.
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
  expiries[i] = redis.call('ZSCORE', KEYS[1], ARGV[i + 2])
  if not expiries[i] then
    return -1
  end
end
for i = 3, #KEYS do
  -- A key of another type holds no session that could be used, and must not keep the others from being revoked.
  local record = redis.pcall('GET', KEYS[i])
  if record then
    if type(record) == 'string' and record ~= '' and record:byte(1) < 128 then
      redis.call('SET', KEYS[i], string.char(record:byte(1) + 128) .. record:sub(2, 49) .. ARGV[4] .. record:sub(50), 'KEEPTTL')
    end
    if tonumber(expiries[i]) > tonumber(ARGV[1]) then
      active = active + 1
    end
  end
end
redis.call('DEL', KEYS[1])
if delete then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'd', ARGV[1])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return active
