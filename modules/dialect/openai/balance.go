package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// balance follows a JSON object that arrives in fragments of a string, and knows when it is complete. It trusts
// the object to be valid and counts braces only.
type balance struct {
	depth    int
	text     bool // inside of a string
	escaped  bool // after a backslash in it
	complete bool
}

// add follows one fragment.
func (b *balance) add(fragment dialect.Inside) {
	for i := 0; i < len(fragment) && !b.complete; i++ {
		c := fragment[i]
		if c == '\\' && i+1 < len(fragment) {
			i++
			switch c = fragment[i]; c {
			case '"', '\\', '/':
			default:
				// White space, or the escape of a character; an escaped brace or quote is what nobody sends.
				c = ' '
			}
		}
		b.step(c)
	}
}

func (b *balance) step(c byte) {
	switch {
	case b.escaped:
		b.escaped = false
	case b.text && c == '\\':
		b.escaped = true
	case c == '"':
		b.text = !b.text
	case b.text:
	case c == '{' || c == '[':
		b.depth++
	case c == '}' || c == ']':
		b.depth--
		b.complete = b.depth == 0
	}
}
