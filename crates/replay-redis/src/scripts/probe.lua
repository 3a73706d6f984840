-- Whether a record would be taken: the marker is as the connection saw it, and the server takes a write. KEYS: marker. ARGV: run, forgot.
local marker = redis.call('HMGET', KEYS[1], 'run', 'forgot', 'time')
if marker[1] ~= ARGV[1] or marker[2] ~= ARGV[2] then return {0, 0} end
local now, latest = tonumber(redis.call('TIME')[1]), tonumber(marker[3])
if latest - now > 5 then return {0, 0} end
redis.call('HSET', KEYS[1], 'time', string.format('%.0f', math.max(now, latest)))
return {1, now}
