-- What a subject has used, in the three forms in which it is kept. All of them count whole microseconds of one clock, which
-- is made monotone for each window: where it steps back, the window waits for it.
--
--   ring     a string: a header, then the time of each unit in 16 digits, round and round. Exact.
--   buckets  a hash: a header in the field h, then the units of each sixtieth of the window under its number. A bucket counts until
--            its last moment has left the window, so that there is never too little in it.
--   leases   a sorted set: calls in progress by when they are given up for dead.
--
-- A window that is made, or made again after a reset, gets a number of its own, the fresh one, by which a call that was charged
-- before knows that it is another. open only reads. add and take_back write, and keep a window no longer than it can matter.

local SLOT, HEAD, FEW, MANY = 16, 52, 8, 10000
local SIXTIETHS = 60
local MOST = 9007199254740991 -- the largest number that counts exactly
local SPARE = 1000 -- milliseconds that a key outlives its window

-- clock is the time: the server's own, unless a test brings one.
local function clock(override)
  if override ~= '' then return tonumber(override) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

local function whole(x) return string.format('%.0f', x) end

local function slot(t) return string.format('%016.0f', t) end

local function span_of(length) return math.max(math.floor(length / SIXTIETHS), 1) end

-- ttl is in milliseconds, and counts from the server's clock, behind which a window is that waits for it.
local function ttl(w)
  return whole(math.ceil((w.at - w.now + w.length + span_of(w.length)) / 1000) + SPARE)
end

local Ring, Buckets, Leases = { form = 'ring' }, { form = 'buckets' }, { form = 'leases' }
Ring.__index, Buckets.__index, Leases.__index = Ring, Buckets, Leases

-- ring ---------------------------------------------------------------------------------------------------------------------

function Ring.open(w, head)
  local id, last, tail, count, cap = string.match(head, '^(%d+) (%d+) (%d+) (%d+) (%d+) $')
  setmetatable(w, Ring)
  w.at, w.used = w.now, 0
  if not id then return w end
  w.id, w.tail, w.used, w.cap = tonumber(id), tonumber(tail), tonumber(count), tonumber(cap)
  w.last = tonumber(last)
  w.at = math.max(w.now, w.last)
  w.gone = w.used
  if w.last > w.at - w.length then w.gone = w:first(w.at - w.length, 0) end
  w.tail, w.used = (w.tail + w.gone) % w.cap, w.used - w.gone
  return w
end

-- read returns n slots as text, from the i-th oldest on.
function Ring:read(i, n)
  local from = (self.tail + i) % self.cap
  local fit = math.min(n, self.cap - from)
  local text = redis.call('GETRANGE', self.key, HEAD + from * SLOT, HEAD + (from + fit) * SLOT - 1)
  if fit == n then return text end
  return text .. redis.call('GETRANGE', self.key, HEAD, HEAD + (n - fit) * SLOT - 1)
end

function Ring:write(i, text)
  local from = (self.tail + i) % self.cap
  local fit = (self.cap - from) * SLOT
  redis.call('SETRANGE', self.key, HEAD + from * SLOT, string.sub(text, 1, fit))
  if #text > fit then redis.call('SETRANGE', self.key, HEAD, string.sub(text, fit + 1)) end
end

-- first is the number of the first slot from low on that is later than a moment, or how many there are. Such a slot is mostly
-- near, so that the search gallops before it bisects.
function Ring:first(moment, low)
  local high, step = self.used, 0
  while low < high do
    local i = math.min(low + step, math.floor((low + high) / 2))
    local t = tonumber(self:read(i, 1))
    if t <= moment then
      low, step = i + 1, 2 * step + 1
    else
      high, self.oldest = i, t
    end
  end
  return low
end

function Ring:free_at(most)
  local i = self.used - most - 1
  if i == 0 and self.oldest then return self.oldest + self.length end
  return tonumber(self:read(i, 1)) + self.length
end

function Ring:head()
  return string.format('%016.0f %016.0f %05d %05d %05d ', self.id, self.last, self.tail, self.used, self.cap)
end

function Ring:store(slots)
  redis.call('SET', self.key, self:head() .. slots, 'PX', ttl(self))
end

function Ring:add(units)
  local slots = string.rep(slot(self.at), units)
  self.last = self.at
  if self.used == 0 then
    self.id, self.oldest, self.tail, self.cap = self.fresh, self.at, 0, math.max(FEW, units)
    self.used = units
    return self:store(slots)
  end
  if self.used + units > self.cap then
    slots = self:read(0, self.used) .. slots
    self.used = self.used + units
    self.tail, self.cap = 0, math.max(self.used, math.min(2 * self.cap, MANY))
    return self:store(slots)
  end
  self:write(self.used, slots)
  self.used = self.used + units
  redis.call('SETRANGE', self.key, 0, self:head())
  redis.call('PEXPIRE', self.key, ttl(self))
end

-- take_back removes the first units that are not before the moment at which they were added: those, or, where the ring was
-- made from buckets meanwhile, the ones that stand for them.
function Ring:take_back(at, units)
  if at <= self.at - self.length then return end
  local i = self:first(at - 1, 0)
  units = math.min(units, self.used - i)
  if units == 0 then return end
  local later = self.used - i - units
  if later > 0 then self:write(i, self:read(i + units, later)) end
  -- What has left the window stays until the next call is charged: the clock may go back.
  self.tail, self.used = (self.tail - self.gone) % self.cap, self.used + self.gone - units
  redis.call('SETRANGE', self.key, 0, self:head())
end

-- buckets ------------------------------------------------------------------------------------------------------------------

function Buckets.open(w, head)
  local id, last, sum, oldest = string.match(head or '', '^(%d+) (%d+) (%d+) (%d+)$')
  setmetatable(w, Buckets)
  w.span, w.at, w.used, w.gone = span_of(w.length), w.now, 0, {}
  if not id then return w end
  w.id, w.used, w.oldest = tonumber(id), tonumber(sum), tonumber(oldest)
  w.sum, w.eldest = w.used, w.oldest -- as they are kept, with what has left the window
  w.last = tonumber(last)
  w.at = math.max(w.now, w.last)
  w.newest = math.floor(w.last / w.span)
  local live = math.floor((w.at - w.length) / w.span)
  if w.newest < live then
    w.used = 0
  elseif w.used > 0 and w.oldest < live then
    for number = w.oldest, live - 1 do w.gone[#w.gone + 1] = whole(number) end
    for _, units in ipairs(redis.call('HMGET', w.key, unpack(w.gone))) do
      w.used = w.used - (tonumber(units) or 0)
    end
    w.oldest = live
  end
  return w
end

function Buckets:bucket(number)
  return tonumber(redis.call('HGET', self.key, whole(number)) or 0)
end

function Buckets:free_at(most)
  local number = self.oldest
  local left = self.used - self:bucket(number)
  if left > most then
    local names = {}
    for later = number + 1, self.newest do names[#names + 1] = whole(later) end
    for _, units in ipairs(redis.call('HMGET', self.key, unpack(names))) do
      number, left = number + 1, left - (tonumber(units) or 0)
      if left <= most then break end
    end
  end
  return (number + 1) * self.span + self.length
end

-- head tells, by the time of the last unit, which bucket is the newest.
function Buckets:head()
  return string.format('%.0f %.0f %.0f %.0f', self.id, self.last, self.used, self.oldest)
end

function Buckets:sweep()
  if #self.gone > 0 then redis.call('HDEL', self.key, unpack(self.gone)) end
end

function Buckets:add(units)
  local number = math.floor(self.at / self.span)
  units = math.min(units, MOST - self.used) -- what a provider reports is not to be trusted
  if self.used == 0 then
    if self.id then redis.call('DEL', self.key) end
    self.id, self.oldest = self.fresh, number
  else
    self:sweep()
  end
  self.used, self.newest, self.last = self.used + units, number, self.at
  redis.call('HINCRBY', self.key, whole(number), whole(units))
  redis.call('HSET', self.key, 'h', self:head())
  redis.call('PEXPIRE', self.key, ttl(self))
end

function Buckets:take_back(at, units)
  local number = math.floor(at / self.span)
  if self.used == 0 or number < self.oldest or number > self.newest then return end
  units = math.min(units, self:bucket(number))
  if units == 0 then return end
  self.used, self.oldest = self.sum - units, self.eldest
  redis.call('HINCRBY', self.key, whole(number), whole(-units))
  redis.call('HSET', self.key, 'h', self:head())
end

-- leases -------------------------------------------------------------------------------------------------------------------

function Leases.open(w)
  setmetatable(w, Leases)
  w.at, w.id = w.now, 0
  w.used = redis.call('ZCOUNT', w.key, '(' .. whole(w.now), '+inf')
  return w
end

function Leases:free_at() return self.now end

-- lease_name is what a call's i-th slot is called.
local function lease_name(call, i) return i == 1 and call or call .. '.' .. i end

function Leases:add(units, call, lifetime)
  local names = {}
  for i = 1, units do names[i] = lease_name(call, i) end
  self:hold(names, lifetime)
  self.used = self.used + units
end

function Leases:hold(names, lifetime)
  local expires = whole(self.now + lifetime)
  redis.call('ZREMRANGEBYSCORE', self.key, '-inf', whole(self.now))
  for _, name in ipairs(names) do redis.call('ZADD', self.key, expires, name) end
  redis.call('PEXPIRE', self.key, whole(math.ceil(lifetime / 1000)))
end

function Leases:drop(units, call)
  for i = 1, units do redis.call('ZREM', self.key, lease_name(call, i)) end
end

-- all ----------------------------------------------------------------------------------------------------------------------

-- open reads a window. Where the limit has changed so that another form suits it now, it still is in the old one.
local function open(key, form, length, now, fresh)
  local w = { key = key, length = length, now = now, fresh = fresh }
  if form == 'leases' then return Leases.open(w) end
  if form == 'ring' then
    local head = redis.pcall('GETRANGE', key, 0, HEAD - 1)
    if type(head) == 'string' then return Ring.open(w, head) end
    return Buckets.open(w, redis.call('HGET', key, 'h'))
  end
  local head = redis.pcall('HGET', key, 'h')
  if type(head) ~= 'table' then return Buckets.open(w, head) end
  return Ring.open(w, redis.call('GETRANGE', key, 0, HEAD - 1))
end

-- suit brings a window into another form. Nothing leaves it sooner than it would have.
local function suit(w, form)
  if w.form == form then return w end
  local to = { key = w.key, length = w.length, now = w.now, fresh = w.fresh }
  if w.used == 0 then
    redis.call('DEL', w.key)
    to = form == 'ring' and Ring.open(to, '') or Buckets.open(to)
    to.at = w.at
    return to
  end
  if form == 'ring' then
    local slots = {}
    for number = w.oldest, w.newest do
      slots[#slots + 1] = string.rep(slot(math.min((number + 1) * w.span - 1, w.at)), w:bucket(number))
    end
    setmetatable(to, Ring)
    to.id, to.at, to.last, to.tail, to.used, to.cap = w.id, w.at, w.at, 0, w.used, math.max(FEW, w.used)
    to:store(table.concat(slots))
    return to
  end
  local span, units, numbers = span_of(w.length), {}, {}
  for text in string.gmatch(w:read(0, w.used), string.rep('%d', SLOT)) do
    local number = math.floor(tonumber(text) / span)
    if not units[number] then
      units[number] = 0
      numbers[#numbers + 1] = number
    end
    units[number] = units[number] + 1
  end
  redis.call('DEL', w.key)
  for number, n in pairs(units) do redis.call('HSET', w.key, whole(number), whole(n)) end
  setmetatable(to, Buckets)
  to.span, to.id, to.at, to.last, to.used, to.gone = span, w.id, w.at, w.at, w.used, {}
  to.oldest, to.newest = numbers[1], numbers[#numbers]
  return to
end
