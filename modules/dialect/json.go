package dialect

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays of a body may be nested.
const MaxDepth = 256

// linearNames is how many names of one object are compared one by one before a map takes over.
const linearNames = 64

// Check tells what is wrong with a request's body, nil where it is a JSON object that every parser reads the
// same: RFC 8259 to the letter, valid UTF-8, no deeper than MaxDepth, no member name twice in one object, and
// no spelling of "model" but that one. The last two rules keep a body from meaning one model to the gateway
// and another to the provider. A valid body costs one pass and, up to 64 names in an object, no allocation.
//
// The checker takes four kilobytes of stack. They must not be part of a caller's frame, which may stay for as long as a stream does: a
// goroutine's stack that was doubled for it stays so.
//
//go:noinline
func Check(body []byte) *Error {
	c := checker{body: body}
	return c.check()
}

type checker struct {
	body  []byte
	depth int
	// isObject tells of each open container whether it is an object. mark holds, for an object, how many
	// names were open before its own, and for an array the index of the current element.
	isObject [MaxDepth]bool
	mark     [MaxDepth]int
	// few and then more hold the names of all open objects, outermost first; open is how many. An array of the
	// checker's own stays on the stack, which a slice of it would not.
	open int
	few  [linearNames]name
	more []name
	// large holds, by depth, the names of open objects that have many, or an escaped one.
	large map[int]map[string]struct{}
}

// name is where a member's name lies, without its quotes.
type name struct {
	start, end int
	escaped    bool
}

// state is what the checker expects next.
type state int

const (
	wantValue        state = iota
	wantFirstElement       // a value, or the end of an array
	wantFirstName          // a name, or the end of an object
	wantName
	wantMore // a comma, or the end of the container
)

func (c *checker) check() *Error {
	b := c.body
	i := space(b, 0)
	if i == len(b) {
		return Errorf(InvalidJSON, "the body is empty, send a JSON object")
	}
	if b[i] != '{' {
		return c.fault(i, "the body must be a JSON object")
	}
	for want := wantValue; ; {
		if want == wantMore && c.depth == 0 {
			if i = space(b, i); i < len(b) {
				return c.fault(i, "something follows the JSON object")
			}
			return nil
		}
		if i = space(b, i); i == len(b) {
			return c.fault(i, "the JSON ends too early")
		}
		switch want {
		case wantMore:
			switch {
			case b[i] == ',' && c.isObject[c.depth-1]:
				want = wantName
			case b[i] == ',':
				c.mark[c.depth-1]++
				want = wantValue
			case b[i] == '}' && c.isObject[c.depth-1], b[i] == ']' && !c.isObject[c.depth-1]:
				c.close()
			default:
				return c.fault(i, "a comma or the end of the object or array is missing")
			}
			i++
			continue
		case wantFirstName, wantName:
			if b[i] == '}' && want == wantFirstName {
				c.close()
				i, want = i+1, wantMore
				continue
			}
			var err *Error
			if i, err = c.member(i); err != nil {
				return err
			}
			want = wantValue
			continue
		case wantFirstElement:
			if b[i] == ']' {
				c.close()
				i, want = i+1, wantMore
				continue
			}
		}
		switch b[i] {
		case '{', '[':
			if c.depth == MaxDepth {
				return c.fault(i, "objects and arrays are nested deeper than "+strconv.Itoa(MaxDepth))
			}
			if b[i] == '{' {
				c.isObject[c.depth], c.mark[c.depth], want = true, c.open, wantFirstName
			} else {
				c.isObject[c.depth], c.mark[c.depth], want = false, 0, wantFirstElement
			}
			c.depth++
			i++
		default:
			end, fault := checkScalar(b, i)
			if fault != "" {
				return c.fault(end, fault)
			}
			i, want = end, wantMore
		}
	}
}

func (c *checker) close() {
	c.depth--
	if c.isObject[c.depth] {
		c.open = c.mark[c.depth]
		if c.large != nil {
			delete(c.large, c.depth)
		}
	}
}

// member checks a member's name and colon, and returns the index after it.
func (c *checker) member(i int) (int, *Error) {
	b := c.body
	if b[i] != '"' {
		return i, c.fault(i, "a member's name in double quotes is missing")
	}
	end, escaped, fault := checkText(b, i+1)
	if fault != "" {
		return i, c.fault(end, fault)
	}
	n := name{i + 1, end, escaped}
	if c.taken(n) {
		return i, c.duplicate(n)
	}
	c.push(n)
	if c.depth == 1 && n.end-n.start >= len("model") {
		if raw := c.text(n); string(raw) != "model" && bytes.EqualFold(raw, []byte("model")) {
			text := string(raw)
			err := Errorf(InvalidRequest, "%q is no parameter, write \"model\" in lower case", text)
			err.Field = text
			return i, err
		}
	}
	if i = space(b, end+1); i == len(b) || b[i] != ':' {
		return i, c.fault(i, "a colon is missing after a member's name")
	}
	return i + 1, nil
}

// taken tells whether the innermost object has a member of this name already. Names are compared as they
// are until one is escaped or there are many, so that no body makes this slow.
func (c *checker) taken(n name) bool {
	at := c.depth - 1
	first := c.mark[at]
	set := c.large[at]
	if set == nil && !n.escaped && c.open-first < linearNames {
		for k := first; k < c.open; k++ {
			if string(c.text(c.at(k))) == string(c.text(n)) {
				return true
			}
		}
		return false
	}
	if set == nil {
		set = make(map[string]struct{}, c.open-first+1)
		for k := first; k < c.open; k++ {
			set[string(c.text(c.at(k)))] = struct{}{}
		}
		if c.large == nil {
			c.large = make(map[int]map[string]struct{})
		}
		c.large[at] = set
	}
	text := c.text(n)
	if _, ok := set[string(text)]; ok {
		return true
	}
	set[string(text)] = struct{}{}
	return false
}

func (c *checker) push(n name) {
	switch {
	case c.open < linearNames:
		c.few[c.open] = n
	case c.open-linearNames < len(c.more):
		c.more[c.open-linearNames] = n
	default:
		c.more = append(c.more, n)
	}
	c.open++
}

func (c *checker) at(k int) name {
	if k < linearNames {
		return c.few[k]
	}
	return c.more[k-linearNames]
}

func (c *checker) text(n name) []byte {
	raw := c.body[n.start:n.end]
	if !n.escaped {
		return raw
	}
	return unescape(nil, raw)
}

func (c *checker) fault(at int, what string) *Error {
	err := Errorf(InvalidJSON, "the body is not valid JSON at byte %d: %s", at, what)
	err.Details = map[string]any{"offset": at}
	return err
}

func (c *checker) duplicate(n name) *Error {
	err := Errorf(InvalidRequest, "the member %q at byte %d appears twice in one object, send it once", shorten(c.text(n)), n.start)
	err.Field = c.path(n)
	return err
}

// path spells where a member is, as in messages.0.role.
func (c *checker) path(n name) string {
	var path []byte
	for d := range c.depth - 1 {
		if c.isObject[d] {
			// The member that is open in an object is the last one before the next object's names.
			path = append(path, shorten(c.text(c.at(c.openUntil(d)-1)))...)
		} else {
			path = strconv.AppendInt(path, int64(c.mark[d]), 10)
		}
		path = append(path, '.')
	}
	return string(append(path, shorten(c.text(n))...))
}

// openUntil returns the end of the names of the object at depth d.
func (c *checker) openUntil(d int) int {
	for d++; d < c.depth; d++ {
		if c.isObject[d] {
			return c.mark[d]
		}
	}
	return c.open
}

// shorten keeps a client's own text from filling an error message.
func shorten(text []byte) string {
	const most = 64
	if len(text) <= most {
		return string(text)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut]) + "…"
}
