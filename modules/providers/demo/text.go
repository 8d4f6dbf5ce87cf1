package demo

import (
	"unicode"
	"unicode/utf8"
)

// An excerpt of the prompt is short, so that most of the answer's words are the answer's.
const (
	excerptWords = 6
	excerptRunes = 80
)

const closing = `. This answer was made offline by the gateway's demo provider; no model was asked.`

// padding fills an answer up to its length.
var padding = [...]string{
	"amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath",
	"inlet", "jade", "kelp", "larch", "maple", "north", "ochre", "pebble",
	"quartz", "river", "slate", "thyme", "umber", "vale", "willow", "yarrow",
	"zephyr", "alder", "basalt", "cove", "dune", "fern", "glade", "harbor",
}

// appendText writes an answer of so many words that quotes what was said. The seed chooses the padding.
func appendText(dst []byte, words int, lead, said string, seed uint64) []byte {
	start := len(dst)
	dst = append(dst, "[demo] "...)
	dst = append(dst, lead...)
	dst = append(dst, `: "`...)
	dst = appendExcerpt(dst, said)
	dst = append(dst, '"')
	dst = append(dst, closing...)

	have, end := 0, len(dst)
	inWord := false
	for i, c := range dst[start:] {
		space := c == ' '
		if !space && !inWord {
			have++
		}
		if space && have == words {
			end = start + i
			break
		}
		inWord = !space
	}
	dst = dst[:end]
	if have >= words {
		return dst
	}
	rest := words - have
	for i := range rest {
		seed = mix(seed)
		word := padding[seed%uint64(len(padding))]
		dst = append(dst, ' ')
		if i%8 == 0 {
			dst = append(dst, word[0]-'a'+'A')
			dst = append(dst, word[1:]...)
		} else {
			dst = append(dst, word...)
		}
		if i%8 == 7 || i == rest-1 {
			dst = append(dst, '.')
		}
	}
	return dst
}

// appendExcerpt writes the first words of a text with single spaces between them.
func appendExcerpt(dst []byte, s string) []byte {
	words, runes, inWord := 0, 0, false
	for _, r := range s {
		if unicode.IsSpace(r) {
			inWord = false
			continue
		}
		if !inWord {
			if words == excerptWords {
				return append(dst, "…"...)
			}
			if words > 0 {
				dst = append(dst, ' ')
			}
			words++
			inWord = true
		}
		if runes == excerptRunes {
			return append(dst, "…"...)
		}
		dst = utf8.AppendRune(dst, r)
		runes++
	}
	return dst
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014): a random-looking next number.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
