package demo

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds of what is said about a prompt.
const (
	maxSubject  = 120 // runes
	maxEntities = 10  // of a sort

	briefSubject = 3 // tokens
)

// intents are what leading verbs ask for.
var intents = map[string]string{
	"translate": "translation",
	"analyze":   "analysis", "analyse": "analysis", "evaluate": "analysis", "review": "analysis",
	"extract": "entity_extraction", "identify": "entity_extraction", "find": "entity_extraction",
	"summarize": "summarization", "summarise": "summarization", "shorten": "summarization",
	"generate": "generation", "write": "generation", "create": "generation", "compose": "generation", "draft": "generation",
	"classify": "classification", "categorize": "classification", "categorise": "classification", "label": "classification",
	"explain": "explanation", "describe": "explanation",
}

// preambles are words before the verb, as in "could you please".
var preambles = map[string]bool{
	"please": true, "kindly": true, "can": true, "could": true, "would": true, "will": true, "you": true,
	"i": true, "want": true, "need": true, "to": true, "me": true, "help": true, "now": true,
}

// suggest looks at a prompt as a structured analysis does, and returns JSON values by property name.
func suggest(prompt string, seed uint64) map[string]string {
	prompt = strings.TrimSpace(prompt)
	intent, rest := readIntent(prompt)
	format := "json"
	if strings.Contains(strings.ToLower(prompt), "xml") {
		format = "xml"
	}
	entities := append([]byte(nil), `{"names":`...)
	entities = appendStrings(entities, names(prompt))
	entities = append(entities, `,"quoted":`...)
	entities = appendStrings(entities, quotations(prompt))
	entities = append(entities, '}')
	return map[string]string{
		"intent":            strconv.Quote(intent),
		"subject":           string(dialect.String(nil, subject(rest, prompt))),
		"entities":          string(entities),
		"output_format":     strconv.Quote(format),
		"original_language": strconv.Quote(language(prompt)),
		// From 0.50 to 0.95: a demo is never certain.
		"confidence_score": strconv.FormatFloat(float64(50+seed%46)/100, 'f', 2, 64),
	}
}

// shorten leaves of an analysis what takes few tokens.
func shorten(suggested map[string]string) {
	suggested["entities"] = "{}"
	subject, _ := dialect.Text([]byte(suggested["subject"]))
	if words := strings.Fields(subject); len(words) > 0 {
		subject, _ = cutTokens(words[0], briefSubject)
	}
	suggested["subject"] = string(dialect.String(nil, subject))
}

// readIntent names the intent, and returns the prompt after its leading verb.
func readIntent(prompt string) (intent, rest string) {
	intent, rest = "general", prompt
	for left := prompt; left != ""; {
		word, after := cutWord(left)
		lower := strings.ToLower(word)
		if named, ok := intents[lower]; ok {
			intent, rest = named, after
			break
		}
		if !preambles[lower] {
			break
		}
		left = after
	}
	if (intent == "general" || intent == "analysis") && strings.Contains(strings.ToLower(prompt), "sentiment") {
		intent = "sentiment_analysis"
	}
	return intent, rest
}

// cutWord splits off the first word, without the punctuation around it.
func cutWord(s string) (word, rest string) {
	start := strings.IndexFunc(s, unicode.IsLetter)
	if start < 0 {
		return "", ""
	}
	s = s[start:]
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}

// subject is the rest of the sentence, cut at a word's end where it is long.
func subject(rest, prompt string) string {
	const around = " \t\n\r.,:;!?-"
	s := strings.Trim(rest, around)
	for i, r := range s {
		after := s[i+utf8.RuneLen(r):]
		if r == '\n' || strings.ContainsRune(".!?", r) && strings.HasPrefix(after, " ") || strings.ContainsRune("。！？", r) {
			s = s[:i]
			break
		}
	}
	if s == "" {
		s = strings.Trim(prompt, around)
	}
	runes := 0
	for i := range s {
		if runes == maxSubject {
			cut := s[:i]
			if space := strings.LastIndexByte(cut, ' '); space > 0 {
				cut = cut[:space]
			}
			return strings.TrimRight(cut, around)
		}
		runes++
	}
	return s
}

// names are words with a capital, taken together where they are neighbours. At the start of a sentence a
// capital says little, so common openings are passed over there.
func names(prompt string) []string {
	var found []string
	var current []string
	flush := func() {
		if len(current) > 0 {
			found = appendNew(found, strings.Join(current, " "))
			current = nil
		}
	}
	opening := true
	for token := range strings.FieldsSeq(prompt) {
		word := strings.TrimFunc(token, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		word = strings.TrimSuffix(word, "'s")
		first, _ := utf8.DecodeRuneInString(word)
		lower := strings.ToLower(word)
		common := lower == "i" || opening && (intents[lower] != "" || openings[lower])
		if unicode.IsUpper(first) && !common {
			if strings.HasPrefix(token, `"`) || strings.HasPrefix(token, "“") {
				flush()
			}
			current = append(current, word)
		} else {
			flush()
		}
		opening = preambles[lower] && opening || strings.ContainsAny(token[len(token)-1:], ".!?:")
		if opening || strings.ContainsAny(token[len(token)-1:], ",;)") {
			flush()
		}
	}
	flush()
	return found
}

// openings are words that often begin a sentence and are no names.
var openings = map[string]bool{
	"the": true, "a": true, "an": true, "this": true, "that": true, "these": true, "what": true, "who": true, "how": true,
	"why": true, "when": true, "where": true, "which": true, "is": true, "are": true, "do": true, "does": true, "in": true,
	"on": true, "my": true, "it": true, "we": true, "he": true, "she": true, "they": true, "there": true, "give": true,
	"tell": true, "show": true, "list": true, "and": true, "but": true, "if": true, "please": true, "can": true,
	"could": true, "would": true, "will": true, "you": true, "say": true, "hello": true, "hi": true, "return": true,
}

// quotations are the texts in quotation marks.
func quotations(prompt string) []string {
	var found []string
	for _, marks := range [][2]string{{`"`, `"`}, {"“", "”"}, {"«", "»"}, {"„", "“"}, {"「", "」"}} {
		rest := prompt
		for {
			_, after, ok := strings.Cut(rest, marks[0])
			if !ok {
				break
			}
			text, behind, ok := strings.Cut(after, marks[1])
			if !ok {
				break
			}
			if text = strings.TrimSpace(text); text != "" {
				found = appendNew(found, text)
			}
			rest = behind
		}
	}
	return found
}

// appendNew adds a text that is not there yet, while there is room.
func appendNew(list []string, text string) []string {
	if len(list) == maxEntities {
		return list
	}
	for _, s := range list {
		if s == text {
			return list
		}
	}
	return append(list, text)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = dialect.String(dst, s)
	}
	return append(dst, ']')
}
