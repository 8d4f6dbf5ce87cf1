package dialect

import (
	"bytes"
	"unicode/utf8"
)

// checkScalar checks a string, a number or a literal and returns the index after it, or that of a fault.
func checkScalar(b []byte, i int) (end int, fault string) {
	switch c := b[i]; {
	case c == '"':
		end, _, fault = checkText(b, i+1)
		if fault != "" {
			return end, fault
		}
		return end + 1, ""
	case c == '-' || '0' <= c && c <= '9':
		return checkNumber(b, i)
	case bytes.HasPrefix(b[i:], []byte("true")), bytes.HasPrefix(b[i:], []byte("null")):
		return i + 4, ""
	case bytes.HasPrefix(b[i:], []byte("false")):
		return i + 5, ""
	}
	return i, "a value is missing here, or is not one that JSON knows"
}

// checkText checks the inside of a string from i on and returns the index of its closing quote, or that of
// a fault.
func checkText(b []byte, i int) (end int, escaped bool, fault string) {
	for {
		if i = plain(b, i); i == len(b) {
			return i, escaped, "a string has no end"
		}
		switch c := b[i]; {
		case c == '"':
			return i, escaped, ""
		case c == '\\':
			n := escapeLength(b[i:])
			if n == 0 {
				return i, escaped, "a string holds an escape sequence that JSON does not know"
			}
			escaped = true
			i += n
		case c < ' ':
			return i, escaped, "a string holds a raw control character, escape it"
		default:
			for i < len(b) && b[i] >= utf8.RuneSelf {
				r, n := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && n == 1 {
					return i, escaped, "a string is not valid UTF-8"
				}
				i += n
			}
		}
	}
}

// escapeLength returns the length of the escape sequence that b begins with, 0 where it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 || (hexDigit(b[2])|hexDigit(b[3])|hexDigit(b[4])|hexDigit(b[5])) == 0xff {
			return 0
		}
		return 6
	}
	return 0
}

// checkNumber checks a number as RFC 8259, section 6 spells it.
func checkNumber(b []byte, i int) (end int, fault string) {
	const bad = "a number is not written as JSON has it"
	if b[i] == '-' {
		i++
	}
	whole := digits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return i, bad
	}
	if i = whole; i < len(b) && b[i] == '.' {
		fraction := digits(b, i+1)
		if fraction == i+1 {
			return i, bad
		}
		i = fraction
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exponent := digits(b, i)
		if exponent == i {
			return i, bad
		}
		i = exponent
	}
	return i, ""
}

func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}
