package dialect

import "bytes"

const (
	bytesPerToken = 4    // of English text, by OpenAI's rule of thumb
	mediaTokens   = 1000 // of an image or a recording, about what a large image costs
	mediaProbe    = 512  // bytes that tell text and encoded media apart
)

// Estimate guesses how many tokens texts and media are, for reservations only: a fourth of all bytes of text,
// and for each image or recording a flat count, though never more than its bytes.
type Estimate struct{ text, media int64 }

// Add counts all strings of a value.
func (e *Estimate) Add(value []byte) {
	for inside := range Strings(value) {
		if media(inside) {
			e.media += min(mediaTokens, int64(len(inside)))
		} else {
			e.text += int64(len(inside))
		}
	}
}

// Tokens is the guess so far.
func (e *Estimate) Tokens() int64 { return e.media + (e.text+bytesPerToken-1)/bytesPerToken }

// media tells whether a string is a data URL or bare base64, rather than text.
func media(s []byte) bool {
	if len(s) < mediaProbe {
		return false
	}
	if bytes.HasPrefix(s, []byte("data:")) {
		return true
	}
	for _, c := range s[:mediaProbe] {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '-', c == '_', c == '\\':
		default:
			return false
		}
	}
	return true
}
