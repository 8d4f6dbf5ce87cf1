package gateway

import (
	"fmt"
	"strings"
)

// maxStars bounds the stars of a model's pattern, so that what they stand for fits into an array.
const maxStars = 8

// taken is what the stars of a pattern stand for, in their order.
type taken [maxStars]string

// matchName tells whether a pattern, in which each * stands for any run of characters, has a name, and what its stars stand for:
// each for as little as it can, the last one for the rest. It allocates nothing.
func matchName(pattern, name string) (stars taken, ok bool) {
	piece, rest, starred := strings.Cut(pattern, "*")
	if name, ok = strings.CutPrefix(name, piece); !ok || !starred {
		return stars, ok && name == ""
	}
	for i := 0; ; i++ {
		var run string
		piece, rest, starred = strings.Cut(rest, "*")
		if starred {
			run, name, ok = strings.Cut(name, piece)
		} else {
			run, ok = strings.CutSuffix(name, piece)
		}
		if i < maxStars { // a key's pattern may have more of them, and nobody asks what they stand for
			stars[i] = run
		}
		if !ok || !starred {
			return stars, ok
		}
	}
}

// isPattern tells whether a name stands for many.
func isPattern(name string) bool { return strings.Contains(name, "*") }

// checkPattern refuses a pattern that could be read in more than one way.
func checkPattern(pattern string) error {
	if strings.Contains(pattern, "**") {
		return fmt.Errorf("two stars in a row stand for no more than one")
	}
	if n := strings.Count(pattern, "*"); n > maxStars {
		return fmt.Errorf("%d stars are too many; %d are the most", n, maxStars)
	}
	return nil
}

// loneStar is a target's model that is the client's name, without the pattern's namespace.
const loneStar = "*"

// fill puts what stars stand for into a text in place of its own, in their order.
func fill(text string, stars *taken) string {
	before, after, starred := strings.Cut(text, "*")
	if !starred {
		return text
	}
	var b strings.Builder
	for i := 0; starred; i++ {
		b.WriteString(before)
		b.WriteString(stars[i])
		before, after, starred = strings.Cut(after, "*")
	}
	b.WriteString(before)
	return b.String()
}
