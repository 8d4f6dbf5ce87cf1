-- Corrects what a call was charged, once.
--
-- KEYS      the windows, all of one tenant
-- ARGV[1]   the time in microseconds, or empty for the server's
-- ARGV[2]   the name of the call's lease
-- ARGV[3…]  for each window: form, length in microseconds, units to give back or, below zero, to charge on top, when the call
--           was charged, and since when the window had been kept then
--
-- A window that was reset meanwhile is another one: what was charged to the old one is none of its business.

local now, next_arg = clock(ARGV[1]), 3
for k = 1, #KEYS do
  local form, length, units = ARGV[next_arg], tonumber(ARGV[next_arg + 1]), tonumber(ARGV[next_arg + 2])
  local at, since = tonumber(ARGV[next_arg + 3]), tonumber(ARGV[next_arg + 4])
  next_arg = next_arg + 5
  if form == 'leases' then
    open(KEYS[k], form, length, now):drop(units, ARGV[2])
  else
    local w = open(KEYS[k], form, length, now)
    if units > 0 then
      if w.since == since then w:take_back(at, units) end
    elseif w.since == since or at + length <= w.at then
      w:add(-units)
    end
  end
end
return {}
