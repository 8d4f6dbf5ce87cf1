-- Corrects what a call was charged, once.
--
-- KEYS      the windows
-- ARGV[1]   the time in microseconds, or empty for the server's
-- ARGV[2]   the name of the call's lease
-- ARGV[3]   the number of a window that is made
-- ARGV[4…]  for each window: form, length in microseconds, units to give back or, below zero, to charge on top, when the call
--           was charged, and the number that the window had then
--
-- A window that was reset meanwhile is another one: what was charged to the old one is none of its business.

local now, next_arg = clock(ARGV[1]), 4
for k = 1, #KEYS do
  local form, length, units = ARGV[next_arg], tonumber(ARGV[next_arg + 1]), tonumber(ARGV[next_arg + 2])
  local at, id = tonumber(ARGV[next_arg + 3]), tonumber(ARGV[next_arg + 4])
  next_arg = next_arg + 5
  if form == 'leases' then
    open(KEYS[k], form, length, now, tonumber(ARGV[3])):drop(units, ARGV[2])
  else
    local w = open(KEYS[k], form, length, now, tonumber(ARGV[3]))
    if units > 0 then
      if w.id == id then w:take_back(at, units) end
    elseif w.id == id or at + length <= w.at then
      w:add(-units)
    end
  end
end
return {}
