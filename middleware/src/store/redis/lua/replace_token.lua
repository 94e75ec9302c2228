#!lua
-- Replaces the token of a session if the current token is still the expected one (compare-and-swap).
--
-- KEYS  1 session  2 the agent's index  3 agent  4 epochs of agents   (all with the hash tag of the agent's bucket)
-- ARGV  1 deadline (milliseconds by the server's clock), or '' for none
--       2 hash of the expected token (32 bytes)  3 session id (16 bytes)
--       4 expires_at (epoch seconds)             5 seconds to keep the session
--       6 the record with the new token (LAYOUT.md)
-- Reply 1 replaced · -1 revoked, by itself or with its agent · -2 no such session · -4 deadline passed
--       · a string: the record, whose current token is another one
--
-- EVALSHA … 4 session:{3747}:0190… idx:{3747}:0000… agent:{3747}:0000… gone:{3747}
--           1760043201250 <hash> <id> 1760129600 172800 <record>
-- If it runs late, it has no effect unless the expected token is still the current one. The deadline keeps it from running much
-- later than it was sent, since the retry window of a renewal counts from the time in its record.
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then
    return -4
  end
end
local record = call('GET', KEYS[1])
if not record then
  return -2
end
local epochs, agent = read_epochs(KEYS[4]), record:sub(34, 49)
if is_revoked(record, (find_epoch(epochs, agent))) or call('HEXISTS', KEYS[3], 'd') == 1 then
  return -1
end
-- No other field changes without the token, so the whole record can be swapped.
if record:sub(2, 33) ~= ARGV[2] then
  return record
end
-- First, so that an index of another type fails here with nothing changed.
call('ZADD', KEYS[2], ARGV[4], ARGV[3])
keep_epoch(KEYS[4], epochs, agent, tonumber(ARGV[5]))
redis.call('SET', KEYS[1], ARGV[6], 'EX', ARGV[5])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[5]) then
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
return 1
