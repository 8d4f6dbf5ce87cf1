package dialect

import "bytes"

// Edit changes one top-level member of an object.
type Edit struct {
	Name  string
	Value []byte // the new value as JSON; nil takes the member out
}

// Set returns body with one top-level member changed or, where it has none of that name, added at the end.
// rawValue is JSON. See Splice.
func Set(body []byte, key string, rawValue []byte) []byte {
	if rawValue == nil {
		rawValue = []byte("null")
	}
	return Splice(make([]byte, 0, len(body)+len(key)+len(rawValue)+4), body, Edit{key, rawValue})
}

// Delete returns body without one top-level member. See Splice.
func Delete(body []byte, key string) []byte {
	return Splice(make([]byte, 0, len(body)), body, Edit{Name: key})
}

// Splice appends body to dst with edits made to its top-level members, each of another name. Every other byte
// stays as it was: white space, order, the spelling of numbers. Members that body has not are added at the
// end, in the order of the edits. Check must have passed the body; one that holds no object is appended as it
// is.
func Splice(dst, body []byte, edits ...Edit) []byte {
	open := space(body, 0)
	if open == len(body) || body[open] != '{' {
		return append(dst, body...)
	}
	var (
		few     [16]bool
		done    = few[:0]
		pending = len(edits)
		from    = 0        // what precedes this is in dst already, or is taken out
		last    = open + 1 // after the last member seen
		kept    = false    // a member was seen that stays
		gap     = false    // members were taken out and none before them stays
		scan    = members(body)
	)
	for range edits {
		done = append(done, false)
	}
	for pending > 0 && scan.next() {
		if gap {
			from, gap = scan.start, false
		}
		edit := find(edits, scan.object[scan.start+1:scan.nameEnd-1])
		switch {
		case edit < 0:
			kept = true
		case edits[edit].Value != nil:
			dst = append(dst, body[from:scan.value]...)
			dst = append(dst, edits[edit].Value...)
			from, kept = scan.end, true
		case kept:
			dst = append(dst, body[from:last]...)
			from = scan.end
		default:
			dst = append(dst, body[from:scan.start]...)
			from, gap = scan.end, true
		}
		last = scan.end
		if edit >= 0 && !done[edit] {
			done[edit] = true
			pending--
		}
	}
	if gap && scan.next() {
		from = scan.start
	}
	if pending == 0 {
		return append(dst, body[from:]...)
	}
	dst = append(dst, body[from:max(from, last)]...)
	for i, e := range edits {
		if done[i] || e.Value == nil {
			continue
		}
		if kept {
			dst = append(dst, ',')
		}
		dst = String(dst, e.Name)
		dst = append(dst, ':')
		dst = append(dst, e.Value...)
		kept = true
	}
	return append(dst, body[max(from, last):]...)
}

// Changes says whether edits would change a body: whether it lacks one of their values, or has a member that they take out.
func Changes(body []byte, edits ...Edit) bool {
	open := space(body, 0)
	if open == len(body) || body[open] != '{' {
		return false
	}
	missing := 0
	for _, e := range edits {
		if e.Value != nil {
			missing++
		}
	}
	for scan := members(body); scan.next(); {
		edit := find(edits, scan.object[scan.start+1:scan.nameEnd-1])
		if edit < 0 {
			continue
		}
		if edits[edit].Value == nil || !bytes.Equal(scan.object[scan.value:scan.end], edits[edit].Value) {
			return true
		}
		missing-- // a name that is there twice does not pass Check
	}
	return missing > 0
}

// find returns which edit is for the member of a name as it is written, -1 where none is.
func find(edits []Edit, raw []byte) int {
	if bytes.IndexByte(raw, '\\') >= 0 {
		raw = unescape(nil, raw)
	}
	for i := range edits {
		if edits[i].Name == string(raw) {
			return i
		}
	}
	return -1
}
