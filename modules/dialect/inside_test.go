package dialect

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestInsideIsTheTextOfItsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genText().Draw(t, "text")
		in := InsideOf(writeText(t, nil, text))
		if got := in.String(); got != text {
			t.Fatalf("%q is %q, want %q", in, got, text)
		}
		if got := string(in.Unescape(nil)); got != text {
			t.Fatalf("%q is %q, want %q", in, got, text)
		}
		if got, want := in.Characters(), utf8.RuneCountInString(text); got != want {
			t.Fatalf("%q has %d characters, want %d", in, got, want)
		}
		if got, want := in.Len(), len(text); got != want {
			t.Fatalf("%q has %d bytes, want %d", in, got, want)
		}
		var decoded string
		if err := json.Unmarshal(Escape(text).Quote(nil), &decoded); err != nil || decoded != text {
			t.Fatalf("%q is escaped as %q, %v", text, Escape(text), err)
		}
	})
}

func TestHalvesOfPairsAreCountedAsTheyAreRead(t *testing.T) {
	for _, text := range []string{`\ud83d`, `a\ud83dx`, `\ude00\ud83d`, `\ud83d\ude00\u00e9`, `\`, `\u12`} {
		if got, want := Inside(text).Len(), len(Inside(text).String()); got != want {
			t.Errorf("%s has %d bytes, want %d", text, got, want)
		}
	}
}

func TestInsideOfIsNilForWhatIsNoString(t *testing.T) {
	for _, value := range []string{"", `"`, "null", "1", "[]", "{}"} {
		if in := InsideOf([]byte(value)); in != nil {
			t.Errorf("InsideOf(%s) = %q", value, in)
		}
	}
	if in := InsideOf([]byte(`""`)); in == nil || len(in) > 0 {
		t.Errorf("an empty string has the inside %v", in)
	}
}

func TestBlankIsWhatHoldsWhiteSpaceOnly(t *testing.T) {
	for text, want := range map[string]bool{"": true, " ": true, `\n\r\t `: true, "a": false, ` \\n`: false, `\u0020`: false, `\`: false, `\"`: false} {
		if got := Inside(text).Blank(); got != want {
			t.Errorf("Blank(%q) = %v", text, got)
		}
	}
}

func TestNumbersAreReadAsJSONHasThem(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "-1.5": -1.5, "1e2": 100, "9007199254740993": 9007199254740992} {
		if got, ok := Raw(text).Number(); !ok || got != want {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "null", `"1"`, "NaN", "Infinity", "[]", "true", "1e999"} {
		if got, ok := Raw(text).Number(); ok {
			t.Errorf("%s is the number %v", text, got)
		}
	}
}
