package gemini

import (
	"errors"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// DecodeAnswer reads a whole response into the neutral form, which has one answer: the first candidate.
func DecodeAnswer(body []byte) (*dialect.Answer, *dialect.Error) {
	if err := dialect.Check(body); err != nil {
		return nil, dialect.Unreadable(err)
	}
	w := readResponse(body)
	raw := w.candidate()
	switch {
	case w.err != nil:
		return nil, dialect.Unreadable(errors.New("the answer holds an error"))
	case raw == nil && w.blockReason == "":
		return nil, dialect.Unreadable(errors.New("the answer has no candidate"))
	}
	a := &dialect.Answer{}
	a.ID, _ = dialect.Text(w.id)
	a.Model, _ = dialect.Text(w.model)
	a.Usage, a.HasUsage = usageOf(w.usage)
	if raw == nil {
		a.Finish = dialect.FinishFilter
		a.Parts = appendRefusal(nil, w.blockMessage)
		return a, nil
	}
	c := readCandidate(raw)
	calls := 0
	for raw := range dialect.Elements(list(c.parts)) {
		p := readPart(raw)
		part, said := p.answer()
		if !said {
			continue
		}
		if part.Kind == dialect.PartToolUse {
			if part.ID == "" {
				part.ID = madeID(a.ID, calls)
			}
			calls++
		}
		a.Parts = append(a.Parts, part)
	}
	cite(a.Parts, citationsOf(c))
	a.Finish = finishOf(c.reason)
	switch {
	case a.Finish == dialect.FinishFilter:
		a.Parts = appendRefusal(a.Parts, c.message)
	case a.Finish == dialect.FinishStop && calls > 0:
		a.Finish = dialect.FinishTools
	}
	return a, nil
}

// answer reads a part of an answer; false where it says nothing. What models do not say, such as an image, is opaque.
func (p *wirePart) answer() (part dialect.Part, said bool) {
	part = p.decode()
	switch part.Kind {
	case dialect.PartText:
		return part, len(part.Text) > 0
	case dialect.PartReasoning:
		return part, len(part.Text) > 0 || part.Signer != ""
	case dialect.PartToolUse:
		return part, part.Name != ""
	}
	return dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Gemini, Raw: p.raw}, true
}

// appendRefusal appends why an answer was withheld, where that is told.
func appendRefusal(parts []dialect.Part, message dialect.Inside) []dialect.Part {
	if len(message) == 0 {
		return parts
	}
	return append(parts, dialect.Part{Kind: dialect.PartRefusal, Text: message})
}

// madeID is the id of a call that has none. Ids of one conversation must differ, hence the answer's.
func madeID(answer string, n int) string {
	id := []byte("call_")
	for _, c := range []byte(answer) {
		if c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			id = append(id, c)
		}
	}
	return string(strconv.AppendInt(append(id, '_'), int64(n), 10))
}
