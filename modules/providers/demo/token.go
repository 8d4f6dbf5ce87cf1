package demo

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The demo's tokens: a run of letters, digits and underscores is cut into tokens of four runes each (the last may be
// shorter), a run of other visible runes into tokens of three. White space counts nothing. English prose and
// JSON come to about what the usual tokenizers make of them. Prompts and answers are counted alike.

// countTokens counts the tokens of a text.
func countTokens(s string) int64 {
	_, n := scanTokens(s, -1)
	return n
}

// cutTokens returns the beginning of a text that has at most limit tokens, and how many it has.
func cutTokens(s string, limit int64) (string, int64) {
	end, n := scanTokens(s, limit)
	if end < len(s) {
		s = strings.TrimRightFunc(s[:end], unicode.IsSpace)
	}
	return s, n
}

// How many letters, and how many signs, make a token.
const (
	wordRunes = 4
	signRunes = 3
)

// scanTokens counts the tokens of s and stops before the one that exceeds the limit, unless that is negative.
func scanTokens(s string, limit int64) (end int, n int64) {
	for i := 0; i < len(s); {
		size, per := runeOf(s[i:])
		if per == 0 {
			i += size
			continue
		}
		start, runes := i, int64(0)
		for i < len(s) {
			size, class := runeOf(s[i:])
			if class != per {
				break
			}
			i += size
			runes++
		}
		tokens := (runes + per - 1) / per
		if limit >= 0 && n+tokens > limit {
			for range (limit - n) * per {
				size, _ := runeOf(s[start:])
				start += size
			}
			return start, limit
		}
		n += tokens
	}
	return len(s), n
}

// runeOf is the size in bytes of the rune at the beginning of s, and how many of its class make a token: zero for white space.
func runeOf(s string) (size int, per int64) {
	if size := letterSize(s); size > 0 {
		return size, wordRunes
	}
	r, size := utf8.DecodeRuneInString(s)
	if unicode.IsSpace(r) {
		return size, 0
	}
	return size, signRunes
}

// letterSize is how many bytes the letter or digit at the beginning of s has; zero where there is none.
func letterSize(s string) int {
	if c := s[0]; c < utf8.RuneSelf {
		if letters[c] {
			return 1
		}
		return 0
	}
	r, size := utf8.DecodeRuneInString(s)
	if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
		return size
	}
	return 0
}

// letters are the letters, digits and the underscore of ASCII.
var letters = func() (table [utf8.RuneSelf]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" {
		table[c] = true
	}
	return table
}()

// maxPiece is the most runes that one event of a stream carries.
const maxPiece = 24

// pieceEnd is where the first event's worth of a text ends: after a word with the space before it.
func pieceEnd(s string) int {
	runes, inWord := 0, false
	for i, r := range s {
		if unicode.IsSpace(r) {
			if inWord {
				return i
			}
		} else {
			inWord = true
		}
		if runes++; runes > maxPiece {
			return i
		}
	}
	return len(s)
}
