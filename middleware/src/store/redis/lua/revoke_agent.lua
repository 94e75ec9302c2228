#!lua flags=allow-oom
-- Revokes all sessions of an agent and can delete the agent in the same step.
--
-- It advances the agent's epoch, which revokes every session that was created before, also those that the index has lost. It also marks
-- the records of the sessions in the index, and removes the index.
--
-- KEYS  1 the agent's index  2 agent  3 epochs of agents  4… every session in the index   (all with the hash tag of the agent's bucket)
-- ARGV  1 now (epoch seconds)
--       2 seconds to keep the tombstone of the deleted agent
--       3 created at of the agent to delete (epoch seconds); '' keeps the agent
--       4 now (epoch seconds, 5 bytes, big endian)
--       5 agent id (16 bytes)
--       6 "all" if KEYS must have every session in the index, or "known" if the index is damaged
--       7… the ids (16 bytes) of the sessions in KEYS, in the same order
-- Reply how many of the sessions in KEYS were active · -1 the index holds other sessions than KEYS, or is damaged: read it again
--       · -2 the agent to delete has no record: its sessions were revoked · -3 it was registered anew: nothing done
--
-- EVALSHA … 4 idx:{3747}:0000… agent:{3747}:0000… gone:{3747} session:{3747}:0190…
--           1760000000 3600 1759990000 <now> <agent> all <id>
-- If it runs late, it has no effect if a session was created or the agent was registered anew meanwhile. It also runs on a full
-- server.
local delete, found = ARGV[3] ~= '', false
if delete then
  local created = call('HGET', KEYS[2], 'c')
  if created and created ~= ARGV[3] then
    return -3
  end
  found = created ~= false
end
local expiries = {}
if ARGV[6] == 'all' then
  if redis.pcall('ZCARD', KEYS[1]) ~= #KEYS - 3 then
    return -1
  end
  for i = 4, #KEYS do
    expiries[i] = redis.call('ZSCORE', KEYS[1], ARGV[i + 3])
    if not expiries[i] then
      return -1
    end
  end
end
local epochs, time = read_epochs(KEYS[3]), tonumber(redis.call('TIME')[1])
local epoch, kept_until = find_epoch(epochs, ARGV[5])
write_epoch(KEYS[3], epochs, ARGV[5], math.max(epoch + 1, time), math.max(kept_until, time + KEEP_EPOCH), time)
local active = 0
for i = 4, #KEYS do
  -- A key of another type holds no session. It must not prevent the revocation of the others.
  local record = redis.pcall('GET', KEYS[i])
  if record then
    -- The index can still have a session that was revoked without it.
    local revoked_now = type(record) ~= 'string' or revoke_record(KEYS[i], record, ARGV[4])
    if revoked_now and tonumber(expiries[i] or 0) > tonumber(ARGV[1]) then
      active = active + 1
    end
  end
end
redis.call('DEL', KEYS[1])
if delete and not found then
  return -2
end
if delete then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'd', ARGV[1])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return active
