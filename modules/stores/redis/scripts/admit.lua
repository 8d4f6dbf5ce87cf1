-- Decides on a call: first on all of its windows, then, where all of them have room, it charges them all. A refusal writes nothing.
--
-- KEYS      the windows
-- ARGV[1]   the time in microseconds, or empty for the server's
-- ARGV[2]   the name of the call's lease; ARGV[3] how long that lives, in microseconds
-- ARGV[4]   the number of a window that is made
-- ARGV[5…]  for each window: form, length in microseconds, charge, the number of its limits, then N of each
--
-- Returns 1 or 0 for granted or refused; then for each window: units in use, its number, when the call was charged; and for
-- each of its limits the microseconds until the next unit comes back, and until the call would fit, -1 where it does.

local now = clock(ARGV[1])
local windows, granted, next_arg = {}, 1, 5
for k = 1, #KEYS do
  local w = open(KEYS[k], ARGV[next_arg], tonumber(ARGV[next_arg + 1]), now, tonumber(ARGV[4]))
  w.wanted, w.charge, w.limits = ARGV[next_arg], tonumber(ARGV[next_arg + 2]), {}
  local count = tonumber(ARGV[next_arg + 3])
  for i = 1, count do
    local n = tonumber(ARGV[next_arg + 3 + i])
    w.limits[i] = n
    if n < 1 or w.used > n - w.charge then granted = 0 end
  end
  next_arg = next_arg + 4 + count
  windows[k] = w
end

local reply = { granted }
for k = 1, #windows do
  local w = windows[k]
  if granted == 1 then
    local limits, charge = w.limits, w.charge
    w = suit(w, w.wanted)
    w:add(charge, ARGV[2], tonumber(ARGV[3]))
    w.limits, w.charge = limits, charge
  end
  reply[#reply + 1] = w.used
  reply[#reply + 1] = w.id or 0
  reply[#reply + 1] = w.at
  for i = 1, #w.limits do
    local n, reset, wait = w.limits[i], 0, -1
    -- Above N, units come back that do not show yet.
    if w.used > 0 then reset = math.max(w:free_at(math.max(math.min(w.used, n) - 1, 0)) - now, 0) end
    if granted == 0 then
      if n < 1 then
        wait = w.length
      elseif w.used > n - w.charge then
        wait = math.max(w:free_at(n - w.charge) - now, 0)
      end
    end
    reply[#reply + 1] = reset
    reply[#reply + 1] = wait
  end
end
return reply
