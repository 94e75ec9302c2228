#!lua flags=no-writes
-- Finds the commands that this user may not call on the keys of the store. Nothing is executed.
--
-- KEYS  1 session  2 index  3 agent  4 retry entry  5 epochs of agents   (all with the hash tag of one bucket; on a node of a cluster,
--       they are in ARGV)
-- ARGV  1 registry of agents  2 retry entry of a registration   (keys too, of other slots: nothing is read)
--       then further commands with their arguments, as in WAIT:1:1
-- Reply the names of the forbidden commands, sorted
--
-- EVALSHA … 5 session:{0000}:0000… idx:{0000}:0000… agent:{0000}:0000… retry:{0000}:0000… gone:{0000} agents retry:agents:0000…
if not redis.acl_check_cmd then
  return {}
end
local keys = {}
for _, names in ipairs({ KEYS, ARGV }) do
  for _, name in ipairs(names) do
    keys[#keys + 1] = name
  end
end
local commands = {
  { keys[1], 'GET', 'GETRANGE:0:1', 'MGET', 'EXISTS', 'SET:x', 'EXPIRE:1', 'TTL', 'DEL' },
  { keys[2], 'ZADD:0:x', 'ZCARD', 'ZCOUNT:0:1', 'ZRANGE:0:1', 'ZRANGEBYSCORE:0:1', 'ZREM:x', 'ZREMRANGEBYSCORE:0:1', 'ZSCORE:x',
    'EXISTS', 'EXPIRE:1', 'TTL', 'DEL' },
  { keys[3], 'HSET:x:x', 'HGET:x', 'HMGET:x', 'HEXISTS:x', 'EXPIRE:1', 'DEL' },
  { keys[4], 'GET', 'SET:x' },
  { keys[5], 'GET', 'MGET', 'SET:x' },
  { keys[6], 'ZADD:0:x', 'ZRANGE:-:x', 'ZREM:x' },
  { keys[7], 'GET', 'SET:x' },
  { false, 'EVAL:x:0', 'EVALSHA:x:0', 'SCRIPT LOAD:x' },
}
for place = 8, #keys do
  commands[#commands + 1] = { false, keys[place] }
end
local denied, seen = {}, {}
for _, group in ipairs(commands) do
  for place = 2, #group do
    local name, rest = group[place]:match('^([%u ]+):?(.*)$')
    local call = {}
    for word in name:gmatch('%u+') do
      call[#call + 1] = word
    end
    -- Commands without a key.
    if group[1] then
      call[#call + 1] = group[1]
    end
    for argument in rest:gmatch('[^:]+') do
      call[#call + 1] = argument
    end
    -- An error means that the command was renamed or removed.
    local known, allowed = pcall(redis.acl_check_cmd, unpack(call))
    if not (known and allowed) and not seen[name] then
      seen[name] = true
      denied[#denied + 1] = name
    end
  end
end
table.sort(denied)
return denied
