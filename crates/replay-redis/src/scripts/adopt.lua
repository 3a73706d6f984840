-- A new connection: keeps the marker where it is this server's, and sets it anew where requests may have been forgotten. KEYS: marker.
-- ARGV: run_id, evicted_keys, seconds of the pause, the latest forgot that this process has seen, 1 to set it anew in any case.
-- Answers with forgot, and 1 where it was set anew.
local marker = redis.call('HMGET', KEYS[1], 'run', 'evicted', 'forgot', 'time')
local now, seen = tonumber(redis.call('TIME')[1]), tonumber(ARGV[4])
local forgot, latest = tonumber(marker[3] or 0), tonumber(marker[4] or 0)
local went_back = latest - now > 5
local reference = math.max(now, latest)
local known = marker[1] == ARGV[1] and marker[2] == ARGV[2] and forgot >= seen and ARGV[5] == '0' and not went_back
if not known then forgot = math.max(forgot, seen, reference + tonumber(ARGV[3])) end
if not went_back then now = reference end
-- Written in any case: a server that takes no writes is no store.
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'evicted', ARGV[2], 'forgot', string.format('%.0f', forgot), 'time', string.format('%.0f', now))
return {forgot, known and 0 or 1}
