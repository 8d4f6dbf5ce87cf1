package dialect

import (
	"fmt"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// document is a JSON value that can be written in many ways.
type document struct {
	kind    byte // 'o'bject, 'a'rray, 's'tring, or a 'l'iteral as written: number, true, false, null
	text    string
	names   []string
	members []*document
}

var numbers = []string{"0", "-0", "1", "1.0", "1e0", "10", "9007199254740992", "9007199254740993", "-12.5e-3", "0.1", "true", "false", "null"}

func genText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\/\n\t\x01 é€😀\u2028\x7f")), 0, 8, -1),
		rapid.SampledFrom([]string{"a", "b", "model", "stream", "content", "A", ""}),
	)
}

func genDocument(depth int) *rapid.Generator[*document] {
	return rapid.Custom(func(t *rapid.T) *document {
		kinds := "slloa"
		if depth == 0 {
			kinds = "sl"
		}
		switch kind := kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]; kind {
		case 's':
			return &document{kind: 's', text: genText().Draw(t, "text")}
		case 'l':
			return &document{kind: 'l', text: rapid.SampledFrom(numbers).Draw(t, "literal")}
		case 'a':
			return &document{kind: 'a', members: rapid.SliceOfN(genDocument(depth-1), 0, 4).Draw(t, "elements")}
		default:
			return genObject(depth).Draw(t, "object")
		}
	})
}

func genObject(depth int) *rapid.Generator[*document] {
	return rapid.Custom(func(t *rapid.T) *document {
		names := rapid.SliceOfNDistinct(genText(), 0, 6, rapid.ID[string]).Draw(t, "names")
		members := rapid.SliceOfN(genDocument(depth-1), len(names), len(names)).Draw(t, "members")
		return &document{kind: 'o', names: names, members: members}
	})
}

// write writes the document in one of its many ways: order of members, white space and escapes are drawn.
func (d *document) write(t *rapid.T, dst []byte) []byte {
	blank := func() {
		dst = append(dst, rapid.SampledFrom([]string{"", "", "", " ", "\n\t", " \r\n "}).Draw(t, "blank")...)
	}
	blank()
	switch d.kind {
	case 'o':
		order := make([]int, len(d.names))
		for i := range order {
			order[i] = i
		}
		dst = append(dst, '{')
		for n, i := range rapid.Permutation(order).Draw(t, "order") {
			if n > 0 {
				dst = append(dst, ',')
			}
			blank()
			dst = writeText(t, dst, d.names[i])
			blank()
			dst = append(dst, ':')
			dst = d.members[i].write(t, dst)
		}
		blank()
		dst = append(dst, '}')
	case 'a':
		dst = append(dst, '[')
		for n, m := range d.members {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = m.write(t, dst)
		}
		blank()
		dst = append(dst, ']')
	case 's':
		dst = writeText(t, dst, d.text)
	default:
		dst = append(dst, d.text...)
	}
	blank()
	return dst
}

func writeText(t *rapid.T, dst []byte, text string) []byte {
	dst = append(dst, '"')
	for _, r := range text {
		how := rapid.IntRange(0, 3).Draw(t, "escape")
		switch {
		case how == 0 && r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04X\u%04x`, hi, lo)
		case how == 0:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		case r == '/' && how == 1:
			dst = append(dst, `\/`...)
		case r < ' ' || r == '"' || r == '\\':
			dst = appendEscaped(dst, byte(r))
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

// leaves gives every string and literal of the document.
func (d *document) leaves(dst []*document) []*document {
	if d.kind == 's' || d.kind == 'l' {
		return append(dst, d)
	}
	for _, m := range d.members {
		dst = m.leaves(dst)
	}
	return dst
}
