package dialect

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPiecesAreStringsOfTheirOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), genText()).Draw(t, "text")
		inside := String(nil, text)
		if rapid.Bool().Draw(t, "ascii") {
			inside = ascii(inside)
		}
		inside = inside[1 : len(inside)-1]
		var joined []byte
		var all string
		for piece := range Pieces(inside) {
			if len(piece) == 0 || len(piece) > maxPiece || !utf8.Valid(piece) {
				t.Fatalf("piece %q", piece)
			}
			var part string
			if err := json.Unmarshal([]byte(`"`+string(piece)+`"`), &part); err != nil {
				t.Fatalf("piece %q: %v", piece, err)
			}
			joined, all = append(joined, piece...), all+part
		}
		if !bytes.Equal(joined, inside) || all != text {
			t.Fatalf("%q became %q", text, all)
		}
	})
}

// ascii escapes all that is beyond ASCII, as Python does.
func ascii(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = append(out, '\\', 'u')
			for shift := 12; shift >= 0; shift -= 4 {
				out = append(out, "0123456789abcdef"[unit>>shift&0xf])
			}
		}
	}
	return out
}

func TestPiecesKeepSurrogatesTogether(t *testing.T) {
	for before := range 12 {
		inside := strings.Repeat("x", before) + strings.Repeat(`\uD83D\ude00`, 20) + `\ud83d`
		for piece := range Pieces([]byte(inside)) {
			if first := strings.Index(string(piece), `\u`); first >= 0 && strings.HasPrefix(string(piece[first:]), `\ude00`) {
				t.Fatalf("%q begins with half a character", piece)
			}
		}
	}
}

func TestPiecesEndWithWords(t *testing.T) {
	var got []string
	for piece := range Pieces([]byte(strings.Repeat("twelve bytes ", 6) + strings.Repeat("x", 100))) {
		got = append(got, string(piece))
	}
	want := []string{"twelve bytes twelve bytes twelve ", "bytes twelve bytes twelve bytes ", "twelve bytes " + strings.Repeat("x", 51), strings.Repeat("x", 49)}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("pieces = %q, want %q", got, want)
	}
}
