package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// part is a member of the answer that chunks add to.
type part struct {
	name string
	raw  []byte // its value as JSON, as far as it came, without the closing byte
	end  byte   // the byte that closes it: a quote, a bracket, or zero where the value is whole
}

// parts are members in the order in which they first came.
type parts []part

func (ps parts) find(name string) *part {
	for i := range ps {
		if ps[i].name == name {
			return &ps[i]
		}
	}
	return nil
}

// append appends the members, each with a comma before it.
func (ps parts) append(dst []byte) []byte {
	for i := range ps {
		dst = append(dst, ',')
		dst = dialect.String(dst, ps[i].name)
		dst = append(dst, ':')
		dst = ps[i].append(dst)
	}
	return dst
}

// append appends the value.
func (p *part) append(dst []byte) []byte {
	dst = append(dst, p.raw...)
	if p.end != 0 {
		dst = append(dst, p.end)
	}
	return dst
}

// member finds or makes a part.
func (f *Fold) member(ps *parts, name []byte) *part {
	for i := range *ps {
		if (*ps)[i].name == string(name) {
			return &(*ps)[i]
		}
	}
	f.size += len(name) + entrySize
	*ps = append(*ps, part{name: string(name)})
	return &(*ps)[len(*ps)-1]
}

// set lets the last value win. A null says nothing where there was a value.
func (f *Fold) set(ps *parts, name, value []byte) {
	p := f.member(ps, name)
	if p.raw != nil && string(value) == "null" {
		return
	}
	f.size += len(value) - len(p.raw)
	p.raw, p.end = append(p.raw[:0], value...), 0
}

// join adds the fragments of a string together; other values are set. Strings are joined as they are written,
// so that a pair of surrogates that was cut between two chunks is one again.
func (f *Fold) join(ps *parts, name, value []byte) {
	if value[0] != '"' {
		f.set(ps, name, value)
		return
	}
	p := f.member(ps, name)
	former := len(p.raw)
	if p.end != '"' {
		p.raw, p.end = append(p.raw[:0], '"'), '"'
	}
	p.raw = append(p.raw, value[1:len(value)-1]...)
	f.size += len(p.raw) - former
}

// extend adds the elements of an array; other values are set.
func (f *Fold) extend(ps *parts, name, value []byte) {
	if value[0] != '[' {
		f.set(ps, name, value)
		return
	}
	p := f.member(ps, name)
	former := len(p.raw)
	if p.end != ']' {
		p.raw, p.end = append(p.raw[:0], '['), ']'
	}
	for element := range dialect.Elements(value) {
		if len(p.raw) > 1 {
			p.raw = append(p.raw, ',')
		}
		p.raw = append(p.raw, element...)
	}
	f.size += len(p.raw) - former
}
