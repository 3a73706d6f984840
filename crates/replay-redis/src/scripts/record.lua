-- One use of a nonce. KEYS: marker, record, the key's count. ARGV: the marker's run and forgot as the connection saw them, until,
-- the longest that a record may live, requests of a key in a minute. Answers with a code and a number.
local marker = redis.call('HMGET', KEYS[1], 'run', 'forgot', 'time')
if marker[1] ~= ARGV[1] or marker[2] ~= ARGV[2] then return {0, 0} end
-- The store's time never goes back: the latest second that it has seen counts.
local time = redis.call('TIME')[1]
local now, latest = tonumber(time), tonumber(marker[3])
if now > latest then
  redis.call('HSET', KEYS[1], 'time', time)
elseif latest - now > 5 then
  return {0, 0}
else
  now = latest
end
local till = tonumber(ARGV[3])
if till <= now then return {3, now} end
if till - now > tonumber(ARGV[4]) then return {4, now} end
if tonumber(redis.call('GET', KEYS[3]) or 0) >= tonumber(ARGV[5]) then
  if redis.call('EXISTS', KEYS[2]) == 1 then return {2, now} end
  return {5, redis.call('TTL', KEYS[3])}
end
-- It stays for longer than its request is taken, so that a clock that is set back a little finds it.
if not redis.call('SET', KEYS[2], '1', 'NX', 'EXAT', till + 10) then return {2, now} end
if redis.call('INCR', KEYS[3]) == 1 then redis.call('EXPIRE', KEYS[3], 60) end
return {1, now}
