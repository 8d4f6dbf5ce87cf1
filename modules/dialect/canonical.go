package dialect

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Errors of Canonical.
var (
	errNotCanonical = errors.New("canonicalising JSON: the body is not valid")
	errTangled      = errors.New("canonicalising JSON: too much of the body is out of order at too many depths")
)

// Bounds on what Canonical moves to bring members into order, so that no body makes it slow: this many times
// the body's own length, and this many bytes for small bodies.
const (
	tangleFactor = 32
	tangleFloor  = 64 << 10
)

// Canonical appends to dst a form of body that is the same for all bodies that mean the same: members sorted
// by name at every depth, strings escaped in one way only, no white space. Numbers stay as they are written:
// 9007199254740993 and 9007199254740992 are two different seeds, though both are the same float64 (and hence
// the same in the canonical form of RFC 8785). Top-level members for which without is true are left out; the
// name that it is given is valid during its call only. Check must have passed the body. An error means that
// the body cannot be compared, and dst is then as it was.
func Canonical(dst, body []byte, without func(name string) bool) ([]byte, error) {
	c := canonicals.Get().(*canonical)
	defer c.free()
	c.body, c.without, c.err = body, without, errNotCanonical
	c.budget = tangleFloor + tangleFactor*len(body)
	out, i := c.value(dst, space(body, 0), 0)
	if i < 0 || space(body, i) != len(body) {
		return dst, c.err
	}
	return out, nil
}

var canonicals = sync.Pool{New: func() any { return new(canonical) }}

// canonical is the work in progress on one body. Its methods append to dst and return the index in the body
// that they came to, -1 after a failure that err names.
type canonical struct {
	body    []byte
	without func(name string) bool
	members []canonicalMember // of all open objects, outermost first
	scratch []byte
	name    []byte
	budget  int
	err     error
}

// canonicalMember is where a member lies in dst: its quoted name up to nameEnd, its value up to end.
type canonicalMember struct{ start, nameEnd, end int }

// free keeps the buffers for the next body, except where an unusual body made them large.
func (c *canonical) free() {
	const most = 1 << 20
	if cap(c.scratch) > most || cap(c.members) > most/24 {
		return
	}
	*c = canonical{members: c.members[:0], scratch: c.scratch[:0], name: c.name[:0]}
	canonicals.Put(c)
}

func (c *canonical) value(dst []byte, i, depth int) ([]byte, int) {
	b := c.body
	if i >= len(b) || depth > MaxDepth {
		return dst, -1
	}
	switch b[i] {
	case '{':
		return c.object(dst, i, depth)
	case '[':
		return c.array(dst, i, depth)
	case '"':
		return c.text(dst, i)
	}
	end := skipValue(b, i)
	if end < 0 {
		return dst, -1
	}
	return append(dst, b[i:end]...), end
}

func (c *canonical) array(dst []byte, i, depth int) ([]byte, int) {
	b := c.body
	dst = append(dst, '[')
	if i = space(b, i+1); i < len(b) && b[i] == ']' {
		return append(dst, ']'), i + 1
	}
	for {
		if dst, i = c.value(dst, i, depth+1); i < 0 {
			return dst, -1
		}
		if i = space(b, i); i == len(b) {
			return dst, -1
		}
		switch b[i] {
		case ']':
			return append(dst, ']'), i + 1
		case ',':
			dst = append(dst, ',')
			i = space(b, i+1)
		default:
			return dst, -1
		}
	}
}

func (c *canonical) object(dst []byte, i, depth int) ([]byte, int) {
	b := c.body
	own := len(c.members)
	sorted := true
	dst = append(dst, '{')
	inside := len(dst)
	i = space(b, i+1)
	for first := true; ; first = false {
		if i == len(b) {
			return dst, -1
		}
		if b[i] == '}' && first {
			return append(dst, '}'), i + 1
		}
		if b[i] != '"' {
			return dst, -1
		}
		m := canonicalMember{start: len(dst)}
		if m.start > inside {
			dst = append(dst, ',')
			m.start++
		}
		leave := depth == 0 && c.leaves(i)
		if dst, i = c.text(dst, i); i < 0 {
			return dst, -1
		}
		m.nameEnd = len(dst)
		if i = space(b, i); i == len(b) || b[i] != ':' {
			return dst, -1
		}
		i = space(b, i+1)
		if leave {
			dst = dst[:max(inside, m.start-1)]
			i = skipValue(b, i)
		} else {
			dst = append(dst, ':')
			dst, i = c.value(dst, i, depth+1)
			m.end = len(dst)
			if n := len(c.members); n > own {
				former := c.members[n-1]
				sorted = sorted && bytes.Compare(dst[former.start:former.nameEnd], dst[m.start:m.nameEnd]) < 0
			}
			c.members = append(c.members, m)
		}
		if i < 0 {
			return dst, -1
		}
		if i = space(b, i); i == len(b) {
			return dst, -1
		}
		if b[i] == '}' {
			break
		}
		if b[i] != ',' {
			return dst, -1
		}
		i = space(b, i+1)
	}
	if !sorted && !c.sort(dst, inside, c.members[own:]) {
		return dst, -1
	}
	c.members = c.members[:own]
	return append(dst, '}'), i + 1
}

// sort brings the members of one object, which fill dst from inside on, into the order of their names.
func (c *canonical) sort(dst []byte, inside int, members []canonicalMember) bool {
	if c.budget -= len(dst) - inside; c.budget < 0 {
		c.err = errTangled
		return false
	}
	slices.SortFunc(members, func(x, y canonicalMember) int {
		return bytes.Compare(dst[x.start:x.nameEnd], dst[y.start:y.nameEnd])
	})
	c.scratch = append(c.scratch[:0], dst[inside:]...)
	at := inside
	for n, m := range members {
		if n > 0 {
			dst[at] = ','
			at++
		}
		at += copy(dst[at:], c.scratch[m.start-inside:m.end-inside])
	}
	return true
}

// leaves tells whether the member whose name begins at i is to be left out.
func (c *canonical) leaves(i int) bool {
	end := skipString(c.body, i)
	if c.without == nil || end < 0 {
		return false
	}
	c.name = unescape(c.name[:0], c.body[i+1:end-1])
	return c.without(unsafe.String(unsafe.SliceData(c.name), len(c.name)))
}

// text appends the string at i with the escapes that String would give it. A surrogate without its partner
// stays an escape, so that two different ones stay different.
func (c *canonical) text(dst []byte, i int) ([]byte, int) {
	b := c.body
	dst = append(dst, '"')
	for i++; ; {
		stop := plain(b, i)
		dst = append(dst, b[i:stop]...)
		if stop == len(b) {
			return dst, -1
		}
		i = stop
		switch ch := b[i]; {
		case ch == '"':
			return append(dst, '"'), i + 1
		case ch >= utf8.RuneSelf:
			for i < len(b) && b[i] >= utf8.RuneSelf {
				i++
			}
			dst = append(dst, b[stop:i]...)
		case ch == '\\':
			if escapeLength(b[i:]) == 0 {
				return dst, -1
			}
			r, n := escape(b[i:])
			switch {
			case r < utf8.RuneSelf:
				dst = appendEscaped(dst, byte(r))
			case utf16.IsSurrogate(r):
				dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
			default:
				dst = utf8.AppendRune(dst, r)
			}
			i += n
		default:
			return dst, -1
		}
	}
}
