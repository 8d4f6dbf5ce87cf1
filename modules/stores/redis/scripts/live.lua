-- Leaves a gateway's sign of life, and counts the gateways whose signs are fresh.
--
-- KEYS[1]   the signs: a sorted set of names by when each is over, in microseconds of the server's clock
-- ARGV[1]   the gateway's name
-- ARGV[2]   how long its sign is fresh, in microseconds

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[2] / 1000)))
return { redis.call('ZCARD', KEYS[1]) }
