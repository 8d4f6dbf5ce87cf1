package gemini

import (
	"bytes"
	"iter"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// fields gives the members of one of the API's own objects, without those that are null. As Google's servers do,
// it takes names in both spellings, inlineData and inline_data, and gives the former. What is read for each fragment
// of a stream goes without it, since it allocates.
func fields(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for name, value := range dialect.Members(object) {
			if string(value) == "null" {
				continue
			}
			if !yield(camel(name), value) {
				return
			}
		}
	}
}

// camel spells a name with capitals in place of underscores.
func camel(name []byte) []byte {
	at := bytes.IndexByte(name, '_')
	if at < 0 {
		return name
	}
	out := append(make([]byte, 0, len(name)), name[:at]...)
	for i := at; i < len(name); i++ {
		switch {
		case name[i] != '_' || i == 0:
			out = append(out, name[i])
		case i+1 < len(name) && 'a' <= name[i+1] && name[i+1] <= 'z':
			out = append(out, name[i+1]-'a'+'A')
			i++
		}
	}
	return out
}

// list gives an array. As Google's servers do, it takes a lone object for an array of one.
func list(value []byte) []byte {
	if len(value) == 0 || value[0] != '{' {
		return value
	}
	return append(append(append(make([]byte, 0, len(value)+2), '['), value...), ']')
}

// isList tells whether a value is an array, or stands for one.
func isList(value []byte) bool { return len(value) > 0 && (value[0] == '[' || value[0] == '{') }
