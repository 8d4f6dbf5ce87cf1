package demo

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The demo's tokens: a run of letters and digits is cut into tokens of four runes each (the last may be
// shorter), and any other visible rune is a token by itself. White space counts nothing. English prose comes
// to about four characters a token, as with the usual tokenizers. Prompts and answers are counted alike.

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

// wordRunes is how many letters and digits make a token.
const wordRunes = 4

// scanTokens counts the tokens of s and stops before the one that exceeds the limit, unless that is negative.
func scanTokens(s string, limit int64) (end int, n int64) {
	for i := 0; i < len(s); {
		start, runes := i, int64(0)
		for i < len(s) {
			size := letterSize(s[i:])
			if size == 0 {
				break
			}
			i += size
			runes++
		}
		tokens := (runes + wordRunes - 1) / wordRunes
		if limit >= 0 && n+tokens > limit {
			for range (limit - n) * wordRunes {
				start += letterSize(s[start:])
			}
			return start, limit
		}
		n += tokens
		if i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsSpace(r) {
			if n == limit {
				return i, n
			}
			n++
		}
		i += size
	}
	return len(s), n
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

// letters are the letters and digits of ASCII.
var letters = func() (table [utf8.RuneSelf]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" {
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
