package demo

import (
	"strings"
	"unicode"
)

// scripts are told by their letters; the first of several equally frequent ones wins.
var scripts = []struct {
	language string
	table    *unicode.RangeTable
}{
	{"ru", unicode.Cyrillic},
	{"ar", unicode.Arabic},
	{"he", unicode.Hebrew},
	{"el", unicode.Greek},
	{"hi", unicode.Devanagari},
	{"th", unicode.Thai},
	{"ko", unicode.Hangul},
	{"zh", unicode.Han},
}

// commonWords are frequent words that hardly occur in the other languages.
var commonWords = map[string]string{
	"el": "es", "los": "es", "las": "es", "una": "es", "para": "es", "por": "es", "con": "es", "está": "es", "qué": "es", "como": "es", "y": "es",
	"le": "fr", "les": "fr", "une": "fr", "des": "fr", "pour": "fr", "est": "fr", "avec": "fr", "dans": "fr", "et": "fr", "vous": "fr", "du": "fr",
	"der": "de", "die": "de", "das": "de", "und": "de", "ist": "de", "nicht": "de", "ein": "de", "eine": "de", "für": "de", "mit": "de", "den": "de",
	"the": "en", "of": "en", "and": "en", "is": "en", "to": "en", "for": "en", "this": "en", "with": "en", "you": "en", "what": "en", "from": "en",
}

// language guesses the ISO 639-1 code of a text: by its script, and for Latin letters by common words.
// English is what it says in doubt.
func language(text string) string {
	var letters [16]int
	latin, kana := 0, 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Latin, r):
			latin++
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			kana++
		case unicode.IsLetter(r):
			for i := range scripts {
				if unicode.Is(scripts[i].table, r) {
					letters[i]++
					break
				}
			}
		}
	}
	best, most := "", latin
	for i := range scripts {
		n := letters[i]
		if scripts[i].language == "zh" {
			n += kana // Japanese mixes Han characters with its own
		}
		if n > most {
			best, most = scripts[i].language, n
		}
	}
	switch {
	case best == "zh" && kana > 0:
		return "ja"
	case best != "":
		return best
	}
	return latinLanguage(text)
}

func latinLanguage(text string) string {
	count := make(map[string]int)
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		word = strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) })
		if language, ok := commonWords[word]; ok {
			count[language]++
		}
	}
	best := "en"
	for _, language := range []string{"es", "fr", "de"} {
		if count[language] > count[best] {
			best = language
		}
	}
	return best
}
