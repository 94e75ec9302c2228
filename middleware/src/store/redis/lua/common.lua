-- Functions of the scripts that read or change data. Shared functions, inserted after the first line of each script.

-- The seconds for which the entry of an agent is kept in `gone:{bucket}`: 35 days. A script that keeps a session for longer extends the
-- entry of its agent, or adds one of epoch 0.
local KEEP_EPOCH = 3024000
-- The last time that an entry can have. An entry with this time is never removed.
local LAST_TIME = 4294967295

-- A big-endian number in these bytes of a string. Missing bytes are 0.
local function number(bytes, first, last)
  local value = 0
  for i = first, last do
    value = value * 256 + (bytes:byte(i) or 0)
  end
  return value
end

-- A number as 4 bytes, big endian.
local function four_bytes(value)
  return string.char(math.floor(value / 16777216) % 256, math.floor(value / 65536) % 256, math.floor(value / 256) % 256, value % 256)
end

-- Fails the script: the value of the key is not what LAYOUT.md describes.
local function damaged(key)
  error({ err = 'WRONGTYPE ' .. key .. ' has a value of another layout than this version\'s' })
end

-- Calls a command. If the key has a value of another type, the error names the key.
local function call(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if reply.err:find('^WRONGTYPE') then
      damaged(key)
    end
    error(reply)
  end
  return reply
end

-- The list of agent epochs; '' without one.
local function read_epochs(key)
  local list = call('GET', key)
  if not list then
    return ''
  end
  if list == '' or #list % 24 ~= 0 then
    damaged(key)
  end
  for i = 1, #list, 24 do
    if number(list, i + 16, i + 19) >= number(list, i + 20, i + 23) then
      damaged(key)
    end
  end
  return list
end

-- The epoch of an agent, and the time until which its entry is kept; 0 and 0 without an entry.
local function find_epoch(list, agent)
  for i = 1, #list, 24 do
    if list:sub(i, i + 15) == agent then
      return number(list, i + 16, i + 19), number(list, i + 20, i + 23)
    end
  end
  return 0, 0
end

-- Writes the entry of an agent. Removes the entries whose time has passed.
local function write_epoch(key, list, agent, epoch, kept_until, now)
  kept_until = math.min(kept_until, LAST_TIME)
  local kept, latest = {}, kept_until
  for i = 1, #list, 24 do
    local time = number(list, i + 20, i + 23)
    if list:sub(i, i + 15) ~= agent and time > now then
      kept[#kept + 1] = list:sub(i, i + 23)
      latest = math.max(latest, time)
    end
  end
  kept[#kept + 1] = agent .. four_bytes(epoch) .. four_bytes(kept_until)
  redis.call('SET', key, table.concat(kept), 'EXAT', string.format('%.0f', latest))
end

-- Keeps the entry of an agent as long as a session that is stored for this many seconds.
local function keep_epoch(key, list, agent, seconds)
  if seconds <= KEEP_EPOCH then
    return
  end
  local now = tonumber(redis.call('TIME')[1])
  local epoch, kept_until = find_epoch(list, agent)
  if math.min(now + seconds, LAST_TIME) > kept_until then
    write_epoch(key, list, agent, epoch, now + seconds, now)
  end
end

-- The agent's epoch at the creation of a session: the last 4 bytes of a record that has bit 2 and is not revoked.
local function record_epoch(record)
  if math.floor((record:byte(1) or 0) / 2) % 2 == 0 then
    return 0
  end
  return number(record, #record - 3, #record)
end

-- True if a session was revoked, by itself or with its agent.
local function is_revoked(record, epoch)
  return (record:byte(1) or 0) >= 128 or record_epoch(record) < epoch
end

-- Marks a record as revoked at a time (5 bytes), unless it is. True if it was not.
local function revoke_record(key, record, time)
  local first = record:byte(1) or 255
  if first < 128 then
    redis.call('SET', key, string.char(first + 128) .. record:sub(2) .. time, 'KEEPTTL')
  end
  return first < 128
end
