package responses

import (
	"errors"
	"slices"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// EncodeAnswer appends a whole answer. What the API's clients have no place for, such as documents that are cited by
// page and the marks of tools that the provider ran itself, is left out.
func EncodeAnswer(dst []byte, a *dialect.Answer) ([]byte, *dialect.Error) {
	if a.Finish == dialect.FinishError {
		return nil, dialect.Unreadable(errors.New("the answer ended in an error"))
	}
	dst = appendHead(dst, a.ID, a.Model, a.Created, a.Asked)
	dst = append(appendStatus(dst, a.Finish), `,"output":[`...)
	o := output{answer: dialect.Escape(a.ID), finish: a.Finish, logprobs: contentOf(a.Logprobs)}
	dst = append(o.append(dst, told(a.Parts)), `],"usage":`...)
	if a.HasUsage {
		dst = AppendUsage(dst, a.Usage)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, '}'), nil
}

// appendHead begins an answer with what does not change while it is made.
func appendHead(dst []byte, id, model string, created int64, asked dialect.Raw) []byte {
	dst = dialect.String(append(dst, `{"id":`...), responsePrefix+id)
	dst = append(dst, `,"object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, created, 10)
	dst = dialect.String(append(dst, `,"model":`...), model)
	return appendEcho(dst, asked)
}

// appendStatus appends what became of an answer.
func appendStatus(dst []byte, f dialect.Finish) []byte {
	dst = append(append(dst, `,"status":"`...), statusOf(f)...)
	dst = append(dst, `","error":null,"incomplete_details":`...)
	switch f {
	case dialect.FinishLength:
		return append(dst, `{"reason":"max_output_tokens"}`...)
	case dialect.FinishFilter:
		return append(dst, `{"reason":"content_filter"}`...)
	}
	return append(dst, "null"...)
}

// statusOf tells whether an answer is whole.
func statusOf(f dialect.Finish) string {
	if f == dialect.FinishLength || f == dialect.FinishFilter {
		return incomplete
	}
	return completed
}

// told are the parts that the API's clients have a place for.
func told(parts []dialect.Part) []dialect.Part {
	if !slices.ContainsFunc(parts, isForeign) {
		return parts
	}
	return slices.DeleteFunc(slices.Clone(parts), isForeign)
}

func isForeign(part dialect.Part) bool {
	return !inMessage(part.Kind) && part.Kind != dialect.PartReasoning && part.Kind != dialect.PartToolUse
}

// output writes the items of an answer.
type output struct {
	answer   dialect.Inside // its id
	finish   dialect.Finish
	logprobs dialect.Raw // of its first text
	items    int
	id       []byte
}

func (o *output) append(dst []byte, parts []dialect.Part) []byte {
	for len(parts) > 0 {
		part := &parts[0]
		n := 0
		for n < len(parts) && inMessage(parts[n].Kind) {
			n++
		}
		switch {
		case n > 0:
			status := completed
			if n == len(parts) {
				status = statusOf(o.finish)
			}
			dst = appendMessage(o.item(dst, messagePrefix), o.id, status, parts[:n], o.logprobs)
			o.logprobs = nil
			parts = parts[n:]
			continue
		case part.Kind == dialect.PartReasoning:
			dst = appendReasoning(o.item(dst, reasoningPrefix), o.id, part)
		case part.Kind == dialect.PartToolUse:
			if signsCall(part) {
				dst = appendReasoning(o.item(dst, reasoningPrefix), o.id, part)
			}
			arguments := dialect.Inside("{}")
			if len(part.Arguments) > 0 {
				arguments = dialect.InsideOf(dialect.Quote(nil, part.Arguments))
			}
			dst = appendCall(o.item(dst, callPrefix), o.id, callStatus(arguments), part, arguments)
		}
		parts = parts[1:]
	}
	return dst
}

// item begins one more item.
func (o *output) item(dst []byte, prefix string) []byte {
	o.id = appendItemID(o.id[:0], prefix, o.answer, o.items)
	o.items++
	return dialect.Element(dst)
}

// inMessage tells whether parts of a kind are content of a message.
func inMessage(k dialect.PartKind) bool { return k == dialect.PartText || k == dialect.PartRefusal }

// contentOf is the probabilities of an answer's text, which chat completions wrap in an object.
func contentOf(logprobs dialect.Raw) dialect.Raw {
	for name, value := range dialect.Members(logprobs) {
		if string(name) == "content" {
			return value
		}
	}
	return nil
}
