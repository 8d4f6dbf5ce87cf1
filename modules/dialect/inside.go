package dialect

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Inside is the text of a JSON string as it is written between its quotes, escapes and all. The neutral form
// keeps long texts so, since what is the inside of a string in one dialect is so in every other: a translation
// copies it once and neither decodes nor encodes it. It refers into the body that it was read from. Nil means
// that there is none, which is not the same as an empty text.
type Inside []byte

// Raw is a JSON value as it is written, on the same terms as Inside.
type Raw []byte

// InsideOf gives the inside of a JSON string; nil where value is none.
func InsideOf(value []byte) Inside {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return nil
	}
	return value[1 : len(value)-1 : len(value)-1]
}

// Escape gives the inside of the JSON string that holds a text.
func Escape(text string) Inside {
	return InsideOf(String(make([]byte, 0, len(text)+2), text))
}

// String decodes the text.
func (in Inside) String() string {
	if plain(in, 0) == len(in) {
		return string(in)
	}
	return string(unescape(nil, in))
}

// Unescape appends the decoded text.
func (in Inside) Unescape(dst []byte) []byte { return unescape(dst, in) }

// Quote appends the JSON string.
func (in Inside) Quote(dst []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, in...)
	return append(dst, '"')
}

// Characters counts the characters of the text. A pair of surrogates is one.
func (in Inside) Characters() int {
	n := 0
	for i := 0; i < len(in); n++ {
		size, _ := unit(in[i:])
		i += size
	}
	return n
}

// Len counts the bytes of the text.
func (in Inside) Len() int {
	for n := 0; ; {
		at := bytes.IndexByte(in, '\\')
		if at < 0 {
			return n + len(in)
		}
		r, size := escape(in[at:])
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError
		}
		n += at + utf8.RuneLen(r)
		in = in[at+size:]
	}
}

// Blank tells whether the text is nothing but white space, as some servers refuse it.
func (in Inside) Blank() bool {
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case ' ', '\t':
		case '\\':
			if i+1 == len(in) || in[i+1] != 'n' && in[i+1] != 'r' && in[i+1] != 't' {
				return false
			}
			i++
		default:
			return false
		}
	}
	return true
}

// Quote appends bytes of valid UTF-8, such as a JSON value, as a JSON string.
func Quote(dst, text []byte) []byte {
	return String(dst, unsafe.String(unsafe.SliceData(text), len(text)))
}

// Null tells whether there is no value: none at all, or the literal null.
func (r Raw) Null() bool { return len(r) == 0 || string(r) == "null" }

// Number reads a number; false where the value is none.
func (r Raw) Number() (float64, bool) {
	if len(r) == 0 || r[0] != '-' && (r[0] < '0' || r[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(r), len(r)), 64)
	return n, err == nil
}
