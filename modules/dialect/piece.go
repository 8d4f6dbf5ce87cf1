package dialect

import (
	"iter"
	"unicode/utf8"
)

// Bounds of a piece in bytes: from the first on it ends with a word, at the second it ends in any case.
const (
	minPiece = 32
	maxPiece = 64
)

// Pieces cuts the inside of a JSON string into parts that are the insides of strings themselves: never within
// a character, an escape sequence or a pair of surrogates, and after a space where there is one.
func Pieces(inside []byte) iter.Seq[[]byte] {
	return func(yield func(piece []byte) bool) {
		begin := 0
		for i := 0; i < len(inside); {
			n, gap := unit(inside[i:])
			if i+n-begin > maxPiece {
				if !yield(inside[begin:i]) {
					return
				}
				begin = i
			}
			i += n
			if gap && i-begin >= minPiece {
				if !yield(inside[begin:i]) {
					return
				}
				begin = i
			}
		}
		if begin < len(inside) {
			yield(inside[begin:])
		}
	}
}

// unit returns the length of what the inside of a string begins with and cannot be cut, and whether a word
// ends after it.
func unit(inside []byte) (n int, gap bool) {
	switch {
	case inside[0] == ' ':
		return 1, true
	case inside[0] != '\\':
		_, n = utf8.DecodeRune(inside)
		return n, false
	case len(inside) < 2:
		return 1, false
	case inside[1] != 'u':
		return 2, inside[1] == 'n'
	case len(inside) >= 12 && surrogate(inside, "89abAB") && surrogate(inside[6:], "cdefCDEF"):
		return 12, false
	}
	return min(6, len(inside)), false
}

// surrogate tells whether s begins with the escape of a surrogate whose third digit from the right is one of
// these.
func surrogate(s []byte, digits string) bool {
	if s[0] != '\\' || s[1] != 'u' || s[2] != 'd' && s[2] != 'D' {
		return false
	}
	for _, d := range []byte(digits) {
		if s[3] == d {
			return true
		}
	}
	return false
}
