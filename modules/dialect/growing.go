package dialect

// growingMember is what a member of a Growing counts for beside its text, in bytes.
const growingMember = 64

// Growing is an object whose members come in pieces, as those of a streamed answer do. Members are in the order
// in which they first came. Set, Join and Extend copy what they are given, and return by how many bytes the
// object grew, so that a bound can be kept.
type Growing struct{ members []grown }

// grown is a member as far as it came.
type grown struct {
	name string
	raw  []byte // its value as JSON, without the closing byte
	end  byte   // the byte that closes it: a quote, a bracket, or zero where the value is whole
}

// Len is how many members there are.
func (g *Growing) Len() int { return len(g.members) }

// Has tells whether there is a member of this name.
func (g *Growing) Has(name string) bool { return g.find(name) != nil }

// Holds tells whether a member has this value, in the same spelling.
func (g *Growing) Holds(name string, value []byte) bool {
	m := g.find(name)
	switch {
	case m == nil:
		return false
	case m.end == 0:
		return string(m.raw) == string(value)
	}
	last := len(value) - 1
	return last >= 0 && value[last] == m.end && string(m.raw) == string(value[:last])
}

func (g *Growing) find(name string) *grown {
	for i := range g.members {
		if g.members[i].name == name {
			return &g.members[i]
		}
	}
	return nil
}

// member finds or makes a member.
func (g *Growing) member(name []byte) (m *grown, size int) {
	for i := range g.members {
		if g.members[i].name == string(name) {
			return &g.members[i], 0
		}
	}
	g.members = append(g.members, grown{name: string(name)})
	return &g.members[len(g.members)-1], len(name) + growingMember
}

// Set lets the last value win. A null says nothing where there was a value.
func (g *Growing) Set(name, value []byte) int {
	m, size := g.member(name)
	if m.raw != nil && string(value) == "null" {
		return size
	}
	size += len(value) - len(m.raw)
	m.raw, m.end = append(m.raw[:0], value...), 0
	return size
}

// Join adds the fragments of a string together; other values are set. Strings are joined as they are written,
// so that a pair of surrogates that was cut between two fragments is one again.
func (g *Growing) Join(name, value []byte) int {
	if value[0] != '"' {
		return g.Set(name, value)
	}
	m, size := g.member(name)
	size -= len(m.raw)
	if m.end != '"' {
		m.raw, m.end = append(m.raw[:0], '"'), '"'
	}
	m.raw = append(m.raw, value[1:len(value)-1]...)
	return size + len(m.raw)
}

// Extend adds the elements of an array; other values are set.
func (g *Growing) Extend(name, value []byte) int {
	if value[0] != '[' {
		return g.Set(name, value)
	}
	size := 0
	for element := range Elements(value) {
		size += g.Push(name, element)
	}
	m, made := g.member(name)
	if m.end != ']' {
		size -= len(m.raw)
		m.raw, m.end = append(m.raw[:0], '['), ']'
		size += len(m.raw)
	}
	return size + made
}

// Push adds one element to an array.
func (g *Growing) Push(name, element []byte) int {
	m, size := g.member(name)
	size -= len(m.raw)
	if m.end != ']' {
		m.raw, m.end = append(m.raw[:0], '['), ']'
	}
	if len(m.raw) > 1 {
		m.raw = append(m.raw, ',')
	}
	m.raw = append(m.raw, element...)
	return size + len(m.raw)
}

// Append appends the members, each with a comma before it.
func (g *Growing) Append(dst []byte) []byte {
	for i := range g.members {
		m := &g.members[i]
		dst = append(String(append(dst, ','), m.name), ':')
		dst = append(dst, m.raw...)
		if m.end != 0 {
			dst = append(dst, m.end)
		}
	}
	return dst
}

// AppendObject appends the object.
func (g *Growing) AppendObject(dst []byte) []byte {
	if len(g.members) == 0 {
		return append(dst, "{}"...)
	}
	begin := len(dst)
	dst = g.Append(dst)
	dst[begin] = '{' // in place of the first comma
	return append(dst, '}')
}
