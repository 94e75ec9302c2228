#!lua
-- Reserves the id of an agent for an idempotency key, unless an earlier reservation holds.
--
-- KEYS  1 retry entry (it has no hash tag: the registration of the agent is a separate call)
-- ARGV  1 now (epoch seconds)  2 the retry entry (LAYOUT.md)  3 seconds to keep it
-- Reply the entry that holds: this one or the earlier one
--
-- EVALSHA … 1 retry:agents:5d41… 1760000000 <entry> 120
-- If it runs late, it reserves an id only if no other reservation holds. An id that is reserved and never registered is harmless.
local entry = call('GET', KEYS[1])
if entry then
  if #entry ~= 59 then
    damaged(KEYS[1])
  end
  if number(entry, 50, 54) > tonumber(ARGV[1]) then
    return entry
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return ARGV[2]
