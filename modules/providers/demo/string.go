package demo

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// emitString appends a text: of the format, matching the pattern, or simply "demo" in the length allowed.
func (g *generator) emitString(dst []byte, s *shape, variant int) ([]byte, error) {
	if err := g.spend(s.minLength / 16); err != nil {
		return dst, err
	}
	if text := formatted(s.format, variant); text != "" {
		if s.fitsText(text) {
			return dialect.String(dst, text), nil
		}
		if len(s.patterns) == 0 {
			return dst, fmt.Errorf("making a %s: %w", s.format, errNothingFits)
		}
	}
	if len(s.patterns) > 0 {
		text, err := g.matching(s, variant)
		if err != nil {
			return dst, err
		}
		return dialect.String(dst, text), nil
	}
	if s.minLength > s.maxLength {
		return dst, errNothingFits
	}
	return dialect.String(dst, plain(s.minLength, s.maxLength, variant)), nil
}

// plain is "demo" or, for a variant, "demo2", repeated or cut to the length allowed.
func plain(minLength, maxLength, variant int) string {
	text := "demo"
	if variant > 0 {
		text += strconv.Itoa(variant)
	}
	if len(text) < minLength {
		text = strings.Repeat("demo", (minLength-len(text))/4+1) + text
		text = text[len(text)-minLength:]
	}
	if len(text) > maxLength {
		text = text[len(text)-maxLength:] // a variant is told by its end
	}
	return text
}

// formatted is an example of a format of JSON Schema's, with addresses and names that are reserved for
// examples (RFC 2606, RFC 5737, RFC 3849). It is "" for formats that are not known.
func formatted(format string, variant int) string {
	day := time.Date(2025, time.January, 1, 9, 0, 0, 0, time.UTC).AddDate(0, 0, variant)
	suffix := ""
	if variant > 0 {
		suffix = strconv.Itoa(variant)
	}
	switch format {
	case "date":
		return day.Format(time.DateOnly)
	case "date-time":
		return day.Format(time.RFC3339)
	case "time":
		return day.Add(time.Duration(variant) * time.Minute).Format("15:04:05Z")
	case "duration":
		return fmt.Sprintf("P%dD", 1+variant)
	case "email", "idn-email":
		return "demo" + suffix + "@example.com"
	case "hostname", "idn-hostname":
		return "demo" + suffix + ".example.com"
	case "ipv4":
		return fmt.Sprintf("192.0.2.%d", 1+variant%254)
	case "ipv6":
		return fmt.Sprintf("2001:db8::%x", 1+variant&0xffff)
	case "uri", "iri", "url", "uri-reference", "iri-reference", "uri-template":
		return "https://example.com/" + suffix
	case "uuid":
		return fmt.Sprintf("00000000-0000-4000-8000-%012x", variant)
	case "json-pointer":
		return "/demo" + suffix
	case "relative-json-pointer":
		return strconv.Itoa(variant)
	case "regex":
		return "^demo" + suffix + "$"
	}
	return ""
}

// maxGrowth bounds how often the repeats of a pattern are drawn out to reach a length.
const maxGrowth = 128

// matching makes a text for the first pattern and checks it against all of them. Patterns are read as Go's,
// which know what JSON Schema recommends, and no lookaround.
func (g *generator) matching(s *shape, variant int) (string, error) {
	parsed, err := syntax.Parse(s.patterns[0], syntax.Perl)
	if err != nil {
		return "", fmt.Errorf("parsing the pattern %q: %w", s.patterns[0], err)
	}
	var compiled []*regexp.Regexp
	for _, pattern := range s.patterns {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return "", fmt.Errorf("parsing the pattern %q: %w", pattern, err)
		}
		compiled = append(compiled, re)
	}
	for i := range maxGrowth {
		m := matcher{growth: (variant + i) % maxGrowth, shift: variant, left: maxMatch}
		m.write(parsed)
		if err := g.spend(1 + (maxMatch-m.left)/16); err != nil {
			return "", err
		}
		text := m.out.String()
		if fitsAll(s, compiled, text) {
			return text, nil
		}
		if missing := s.minLength - utf8.RuneCountInString(text); missing > 0 {
			text += strings.Repeat("a", missing) // for patterns without an end
			if fitsAll(s, compiled, text) {
				return text, nil
			}
		}
	}
	return "", fmt.Errorf("found no text for the pattern %q", s.patterns[0])
}

func fitsAll(s *shape, patterns []*regexp.Regexp, text string) bool {
	if n := utf8.RuneCountInString(text); n < s.minLength || n > s.maxLength {
		return false
	}
	for _, re := range patterns {
		if !re.MatchString(text) {
			return false
		}
	}
	return true
}

// matcher writes a text that a regular expression matches.
type matcher struct {
	out    strings.Builder
	growth int // how often an open repeat is repeated, at least
	shift  int // turns the choice among a class's runes
	left   int // how many parts may still be written
}

// maxMatch bounds the parts of a text. One that is given up there will not match.
const maxMatch = 1 << 12

func (m *matcher) write(re *syntax.Regexp) {
	if m.left <= 0 {
		return
	}
	m.left--
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			m.out.WriteRune(r)
		}
	case syntax.OpCharClass:
		m.out.WriteRune(m.member(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		m.out.WriteRune('a' + rune(m.shift%26))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			m.write(sub)
		}
	case syntax.OpAlternate:
		m.write(re.Sub[m.shift%len(re.Sub)])
	case syntax.OpStar:
		m.repeat(re.Sub[0], 0, -1)
	case syntax.OpPlus:
		m.repeat(re.Sub[0], 1, -1)
	case syntax.OpQuest:
		m.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		m.repeat(re.Sub[0], re.Min, re.Max)
	}
}

func (m *matcher) repeat(re *syntax.Regexp, low, high int) {
	n := max(low, m.growth)
	if high >= 0 {
		n = min(n, high)
	}
	for range n {
		if m.left <= 0 {
			return
		}
		m.write(re)
	}
}

// member chooses a rune of a class, which is given as pairs of bounds: a letter or a digit where there is one.
func (m *matcher) member(class []rune) rune {
	for _, liked := range [][2]rune{{'a', 'z'}, {'0', '9'}, {'A', 'Z'}} {
		for i := 0; i+1 < len(class); i += 2 {
			lo, hi := max(class[i], liked[0]), min(class[i+1], liked[1])
			if lo <= hi {
				return lo + rune(m.shift)%(hi-lo+1)
			}
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		for r := class[i]; r <= min(class[i+1], class[i]+64); r++ {
			if unicode.IsGraphic(r) {
				return r
			}
		}
	}
	if len(class) == 0 {
		return 'a' // an empty class matches nothing anyway
	}
	return class[0]
}
