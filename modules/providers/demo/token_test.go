package demo

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTokensAreFourLettersOrThreeSigns(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"", 0}, {" \n\t ", 0}, {"a", 1}, {"four", 1}, {"fifth", 2}, {"12345678", 2},
		{"Hello, world!", 6}, {"a b c", 3}, {"über straße", 3}, {"你好世界", 1}, {"👋🏽", 1}, {`":{},"`, 2}, {"snake_case", 3}, {"don't", 3}, {"\xff", 1},
	} {
		if got := countTokens(tt.text); got != tt.want {
			t.Errorf("%q has %d tokens, want %d", tt.text, got, tt.want)
		}
	}
}

func TestCutTokensKeepsTheLongestBeginningThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		limit := rapid.Int64Range(0, 20).Draw(t, "limit")
		cut, n := cutTokens(text, limit)
		if !strings.HasPrefix(text, cut) || countTokens(cut) != n {
			t.Fatalf("%q is no beginning of %q with %d tokens", cut, text, n)
		}
		if want := min(limit, countTokens(text)); n != want {
			t.Fatalf("%q has %d tokens, want %d", cut, n, want)
		}
	})
}

func TestPiecesMakeUpTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		for rest := text; rest != ""; {
			end := pieceEnd(rest)
			if end <= 0 || end > len(rest) {
				t.Fatalf("the piece of %q ends at %d", rest, end)
			}
			if piece := rest[:end]; utf8.RuneCountInString(piece) > maxPiece || !utf8.ValidString(piece) {
				t.Fatalf("the piece %q is too long or cuts a rune", piece)
			}
			rest = rest[end:]
		}
	})
}
