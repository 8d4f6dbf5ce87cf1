package demo

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

func TestSuggestReadsThePrompt(t *testing.T) {
	for _, tt := range []struct{ prompt, intent, subject, names, quoted, format, language string }{
		{`Translate "good morning" to French`, "translation", `"good morning" to French`, `["French"]`, `["good morning"]`, "json", "en"},
		{"Could you please summarize the report of Acme Corp? It is long.", "summarization", "the report of Acme Corp", `["Acme Corp"]`, "[]", "json", "en"},
		{"Analyze the sentiment of this review: I love it.", "sentiment_analysis", "the sentiment of this review: I love it", "[]", "[]", "json", "en"},
		{"Analyse our sales", "analysis", "our sales", "[]", "[]", "json", "en"},
		{"What is the sentiment here?", "sentiment_analysis", "What is the sentiment here", "[]", "[]", "json", "en"},
		{"Extract all names: Ada Lovelace met Charles Babbage in London.", "entity_extraction", "all names: Ada Lovelace met Charles Babbage in London", `["Ada Lovelace","Charles Babbage","London"]`, "[]", "json", "en"},
		{"Write a haiku as XML.", "generation", "a haiku as XML", `["XML"]`, "[]", "xml", "en"},
		{"Classify this ticket", "classification", "this ticket", "[]", "[]", "json", "en"},
		{"explain TLS", "explanation", "TLS", `["TLS"]`, "[]", "json", "en"},
		{"Hello", "general", "Hello", "[]", "[]", "json", "en"},
		{"Summarize", "summarization", "Summarize", "[]", "[]", "json", "en"},
		{"Переведи это", "general", "Переведи это", `["Переведи"]`, "[]", "json", "ru"},
		{"请总结这篇文章。谢谢", "general", "请总结这篇文章", "[]", "[]", "json", "zh"},
	} {
		got := suggest(tt.prompt, 7)
		for name, want := range map[string]string{
			"intent": strconv.Quote(tt.intent), "output_format": strconv.Quote(tt.format), "original_language": strconv.Quote(tt.language),
			"entities": `{"names":` + tt.names + `,"quoted":` + tt.quoted + `}`,
		} {
			if got[name] != want {
				t.Errorf("%q: %s is %s, want %s", tt.prompt, name, got[name], want)
			}
		}
		if subject := gjson.Parse(got["subject"]).Str; subject != tt.subject {
			t.Errorf("%q: the subject is %q, want %q", tt.prompt, subject, tt.subject)
		}
	}
}

func TestLanguageIsGuessedByScriptAndCommonWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "en",
		"1234":                  "en",
		"Where is the station?": "en",
		"¿Dónde está la casa de los gatos por la noche?": "es",
		"Où est la gare pour les trains du soir ?":       "fr",
		"Der Hund und die Katze":                         "de",
		"Привет, мир":                                    "ru",
		"مرحبا بالعالم":                                  "ar",
		"你好世界":                                           "zh",
		"これは日本語の文です":                                     "ja",
		"カタカナ":                                           "ja",
		"안녕하세요":                                          "ko",
		"Translate the word Привет to English":           "en",
	} {
		if got := language(text); got != want {
			t.Errorf("%q is taken for %s, want %s", text, got, want)
		}
	}
}

func TestSuggestionsAreBoundedJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prompt := strings.Join(rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Z"“”«» .!?a-z]{0,40}`))).Draw(t, "prompt"), " ")
		got := suggest(prompt, rapid.Uint64().Draw(t, "seed"))
		for name, value := range got {
			if !gjson.Valid(value) {
				t.Fatalf("%s is no JSON: %s", name, value)
			}
		}
		if n := utf8.RuneCountInString(gjson.Parse(got["subject"]).Str); n > maxSubject {
			t.Fatalf("the subject has %d runes", n)
		}
		for _, list := range []string{"names", "quoted"} {
			if n := len(gjson.Get(got["entities"], list).Array()); n > maxEntities {
				t.Fatalf("%d %s were found", n, list)
			}
		}
		if c := gjson.Parse(got["confidence_score"]).Num; c < 0.5 || c > 0.95 {
			t.Fatalf("the confidence is %g", c)
		}
	})
}
