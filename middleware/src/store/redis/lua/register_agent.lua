#!lua
-- Registers an agent, unless an agent with this id exists. A deleted agent does not exist.
--
-- KEYS  1 agent
-- ARGV  1 created at (epoch seconds)  2… the record's fields and values
-- Reply 1 registered · 0 an agent with this id exists · -1 an agent with this id was deleted after this one was created
--
-- EVALSHA … 1 agent:{3747}:0000… 1760000000 c 1760000000 n build-bot
-- If it runs late, it registers an agent whose registration was not acknowledged, but none that was deleted meanwhile.
local agent = call('HMGET', KEYS[1], 'c', 'd')
if agent[1] then
  return 0
end
if agent[2] and (tonumber(agent[2]) or damaged(KEYS[1])) > tonumber(ARGV[1]) then
  return -1
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
