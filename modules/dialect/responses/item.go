package responses

import (
	"encoding/json"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// The states of an answer and of its items.
const (
	inProgress = "in_progress"
	completed  = "completed"
	incomplete = "incomplete"
)

// Prefixes of ids, by what has them.
const (
	responsePrefix  = "resp_"
	messagePrefix   = "msg_"
	reasoningPrefix = "rs_"
	callPrefix      = "fc_"
)

// appendItemID appends the id of the n-th item of an answer, with quotes.
func appendItemID(dst []byte, prefix string, answer dialect.Inside, n int) []byte {
	dst = append(append(dst, '"'), prefix...)
	dst = append(append(dst, answer...), '_')
	return append(strconv.AppendInt(dst, int64(n), 10), '"')
}

// appendMessage appends a message of texts and refusals. logprobs are of its first text.
func appendMessage(dst, id []byte, status string, parts []dialect.Part, logprobs dialect.Raw) []byte {
	dst = append(append(dst, `{"id":`...), id...)
	dst = append(append(dst, `,"type":"message","status":"`...), status...)
	dst = append(dst, `","role":"assistant","content":[`...)
	for i := range parts {
		dst = appendContent(dialect.Element(dst), &parts[i], logprobs)
		logprobs = nil
	}
	return append(dst, "]}"...)
}

// appendContent appends a text or a refusal.
func appendContent(dst []byte, part *dialect.Part, logprobs dialect.Raw) []byte {
	if part.Kind == dialect.PartRefusal {
		return append(part.Text.Quote(append(dst, `{"type":"refusal","refusal":`...)), '}')
	}
	dst = append(dst, `{"type":"output_text","annotations":[`...)
	for i := range part.Citations {
		if part.Citations[i].URL != "" {
			dst = appendAnnotation(dialect.Element(dst), &part.Citations[i], part.Text.Characters())
		}
	}
	dst = append(dst, `],"logprobs":`...)
	if logprobs.Null() {
		logprobs = dialect.Raw("[]")
	}
	dst = append(append(dst, logprobs...), `,"text":`...)
	return append(part.Text.Quote(dst), '}')
}

// appendAnnotation appends a page of the web that a text of so many characters cites.
func appendAnnotation(dst []byte, c *dialect.Citation, length int) []byte {
	end := c.End
	if end == 0 {
		end = length
	}
	dst = strconv.AppendInt(append(dst, `{"type":"url_citation","start_index":`...), int64(c.Start), 10)
	dst = strconv.AppendInt(append(dst, `,"end_index":`...), int64(end), 10)
	dst = dialect.String(append(dst, `,"title":`...), c.Title)
	dst = dialect.String(append(dst, `,"url":`...), c.URL)
	return append(dst, '}')
}

// appendReasoning appends thoughts, and what their provider wants back with them. Of a call it is its signature alone.
func appendReasoning(dst, id []byte, part *dialect.Part) []byte {
	dst = append(append(dst, `{"id":`...), id...)
	dst = append(dst, `,"type":"reasoning","summary":[`...)
	if part.Kind == dialect.PartReasoning && len(part.Text) > 0 {
		dst = appendSummary(dst, part.Text)
	}
	return append(appendSeal(append(dst, ']'), part), '}')
}

func appendSummary(dst []byte, text dialect.Inside) []byte {
	return append(text.Quote(append(dst, `{"type":"summary_text","text":`...)), '}')
}

// appendCall appends a call of a function, whose arguments are the inside of a string.
func appendCall(dst, id []byte, status string, part *dialect.Part, arguments dialect.Inside) []byte {
	dst = append(append(dst, `{"id":`...), id...)
	dst = append(append(dst, `,"type":"function_call","status":"`...), status...)
	dst = dialect.String(append(dst, `","call_id":`...), part.ID)
	dst = dialect.String(append(dst, `,"name":`...), part.Name)
	dst = arguments.Quote(append(dst, `,"arguments":`...))
	return append(dst, '}')
}

// callStatus tells whether a call's arguments are whole: those of an answer that was cut may not be.
func callStatus(arguments dialect.Inside) string {
	if json.Valid(arguments.Unescape(nil)) {
		return completed
	}
	return incomplete
}

// signsCall tells whether a call has a signature that must come back with it.
func signsCall(part *dialect.Part) bool { return len(part.Signature) > 0 && part.Signer != "" }
