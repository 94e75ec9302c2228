#!lua
-- Registers an agent unless there is one with this id. One that was deleted does not count.
--
-- KEYS  1 agent
-- ARGV  the record's fields and values
-- Reply 1 registered · 0 there is one
--
-- EVALSHA … 1 agent:{3747}:0000… c 1760000000 n build-bot
-- Run late, it registers an agent whose registration was not acknowledged.
if redis.call('HEXISTS', KEYS[1], 'c') == 1 then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
