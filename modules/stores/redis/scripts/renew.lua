-- Keeps calls in progress alive: KEYS[1] holds their leases, ARGV[1] is the time in microseconds, or empty for the server's,
-- ARGV[2] how long a lease lives in microseconds, the rest are the leases. One that has been lost is taken again, since its call
-- is in progress all the same.

local w = Leases.open({ key = KEYS[1], now = clock(ARGV[1]), length = 0 })
for i = 3, #ARGV do w:add(1, ARGV[i], tonumber(ARGV[2])) end
return {}
