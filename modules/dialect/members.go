package dialect

import (
	"bytes"
	"iter"
)

// Members gives the members of an object in their order: the name as plain text, the value as it is written.
// Both are valid as long as object is. It does not validate: of a body that Check would refuse, it gives the
// members before the fault.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		scan := members(object)
		for scan.next() {
			if !yield(scan.name(), object[scan.value:scan.end]) {
				return
			}
		}
	}
}

// Elements gives the elements of an array in their order, as they are written, on the same terms as Members.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		i := space(array, 0)
		if i == len(array) || array[i] != '[' {
			return
		}
		for {
			start := space(array, i+1)
			end := skipValue(array, start)
			if end < 0 || !yield(array[start:end]) {
				return
			}
			if i = space(array, end); i == len(array) || array[i] != ',' {
				return
			}
		}
	}
}

// Strings gives the insides of all strings of a value at any depth, those of names included, as they are
// written, on the same terms as Members.
func Strings(value []byte) iter.Seq[[]byte] {
	return func(yield func(inside []byte) bool) {
		for i := 0; ; {
			quote := bytes.IndexByte(value[i:], '"')
			if quote < 0 {
				return
			}
			quote += i
			end := skipString(value, quote)
			if end < 0 || !yield(value[quote+1:end-1]) {
				return
			}
			i = end
		}
	}
}

// memberScan walks over an object's members.
type memberScan struct {
	object []byte
	at     int // where the next member may begin, after the brace or the comma
	more   bool

	start      int // the name's quote
	nameEnd    int // after the name's other quote
	value, end int
}

func members(object []byte) memberScan {
	i := space(object, 0)
	if i == len(object) || object[i] != '{' {
		return memberScan{}
	}
	return memberScan{object: object, at: i + 1, more: true}
}

func (s *memberScan) next() bool {
	if !s.more {
		return false
	}
	b := s.object
	s.more = false
	start := space(b, s.at)
	if start == len(b) || b[start] != '"' {
		return false
	}
	nameEnd := skipString(b, start)
	if nameEnd < 0 {
		return false
	}
	colon := space(b, nameEnd)
	if colon == len(b) || b[colon] != ':' {
		return false
	}
	value := space(b, colon+1)
	end := skipValue(b, value)
	if end < 0 {
		return false
	}
	s.start, s.nameEnd, s.value, s.end = start, nameEnd, value, end
	if comma := space(b, end); comma < len(b) && b[comma] == ',' {
		s.at, s.more = comma+1, true
	}
	return true
}

func (s *memberScan) name() []byte {
	raw := s.object[s.start+1 : s.nameEnd-1]
	for _, c := range raw {
		if c == '\\' {
			return unescape(nil, raw)
		}
	}
	return raw
}
