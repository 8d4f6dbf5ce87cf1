-- Keeps calls in progress alive. A lease that has been lost is taken again, since its call is in progress all the same.
--
-- KEYS[1]   the leases of a subject
-- ARGV[1]   the time in microseconds, or empty for the server's
-- ARGV[2]   how long a lease lives, in microseconds
-- ARGV[3…]  for each call: its lease, and how many slots it has

local w = open(KEYS[1], 'leases', 0, clock(ARGV[1]))
local names = {}
for i = 3, #ARGV, 2 do
  for slot = 1, tonumber(ARGV[i + 1]) do names[#names + 1] = lease_name(ARGV[i], slot) end
end
w:hold(names, tonumber(ARGV[2]))
return {}
