package openai

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestBalanceIsCompleteWithTheLastByteOfAnObject(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune(`{}[]"\,:é€ `+"\n")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]any{"a": text.Draw(t, "a"), text.Draw(t, "name"): []any{text.Draw(t, "b"), map[string]any{}, 1, nil}}
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		inside := dialect.InsideOf(dialect.Quote(nil, raw))
		var b balance
		for len(inside) > 0 {
			if b.complete {
				t.Fatalf("%s is complete before %q", raw, inside)
			}
			n := rapid.IntRange(1, 4).Draw(t, "escapes")
			cut := 0
			for ; n > 0 && cut < len(inside); n-- { // never within an escape
				if inside[cut] == '\\' {
					cut++
				}
				cut++
			}
			b.add(inside[:cut])
			inside = inside[cut:]
		}
		if !b.complete {
			t.Fatalf("%s is not complete", raw)
		}
	})
}
