package dialect

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// String appends s as a JSON string, with no more escapes than RFC 8259 asks for. What is not valid UTF-8
// becomes U+FFFD.
func String(dst []byte, s string) []byte {
	dst = append(dst, '"')
	clean := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[clean:i]...)
				dst = utf8.AppendRune(dst, r)
				clean = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[clean:i]...)
			dst = appendEscaped(dst, c)
			clean = i + 1
		}
		i++
	}
	dst = append(dst, s[clean:]...)
	return append(dst, '"')
}

// Text decodes a JSON string with its quotes; false where raw is no string.
func Text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	inside := raw[1 : len(raw)-1]
	if plain(inside, 0) == len(inside) {
		return string(inside), true
	}
	return string(unescape(nil, inside)), true
}

// appendEscaped appends an ASCII character as a JSON string holds it: escaped in the shortest way where it
// must be, else as it is.
func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c < ' ' {
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
	return append(dst, c)
}
