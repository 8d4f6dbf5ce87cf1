package openai

import (
	"errors"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// DecodeAnswer reads a whole chat completion into the neutral form, which has one answer: the first choice.
func DecodeAnswer(body []byte) (*dialect.Answer, *dialect.Error) {
	if err := dialect.Check(body); err != nil {
		return nil, dialect.Unreadable(err)
	}
	a := &dialect.Answer{}
	var choice []byte
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "id":
			a.ID, _ = dialect.Text(value)
		case "model":
			a.Model, _ = dialect.Text(value)
		case "created":
			created, _ := dialect.Raw(value).Number()
			a.Created = int64(created)
		case "error":
			if string(value) != "null" {
				return nil, dialect.Unreadable(errors.New("the answer holds an error"))
			}
		case "choices":
			for element := range dialect.Elements(value) {
				choice = element
				break
			}
		}
	}
	if choice == nil {
		return nil, dialect.Unreadable(errors.New("the answer has no choice"))
	}
	a.Usage, a.HasUsage = UsageOf(body)
	decodeChoice(a, choice)
	return a, nil
}

func decodeChoice(a *dialect.Answer, choice []byte) {
	var m message
	for name, value := range dialect.Members(choice) {
		switch string(name) {
		case "message":
			m = readMessage(value)
		case "finish_reason":
			a.Finish = finishOf(value)
		case "logprobs":
			if string(value) != "null" {
				a.Logprobs = value
			}
		}
	}
	a.Parts = decodeReasoning(nil, m)
	if text := answerText(m.content); text != nil {
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartText, Text: text, Citations: decodeAnnotations(m.annotations, text)})
	}
	if in := dialect.InsideOf(m.refusal); len(in) > 0 {
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: in})
	}
	n := 0
	for call := range dialect.Elements(m.calls) {
		if part, ok := decodeCall(call); ok {
			if part.ID == "" {
				part.ID = madeID(a.ID, n)
			}
			a.Parts = append(a.Parts, part)
			n++
		}
	}
	if n > 0 && a.Finish == dialect.FinishStop {
		a.Finish = dialect.FinishTools // some servers say stop
	}
}

// madeID is the id of a call that its server gave none. Ids of one conversation must differ, hence the answer's.
func madeID(answer string, n int) string {
	id := []byte("call_")
	for _, c := range []byte(answer) {
		if c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			id = append(id, c)
		}
	}
	return string(strconv.AppendInt(append(id, '_'), int64(n), 10))
}

// answerText is an answer's text; nil where there is none. Some servers send it in parts.
func answerText(content []byte) dialect.Inside {
	var text dialect.Inside
	if content != nil && content[0] == '[' {
		for element := range dialect.Elements(content) {
			if part := decodePart(element); part.Kind == dialect.PartText {
				text = append(text, part.Text...)
			}
		}
	} else {
		text = dialect.InsideOf(content)
	}
	if len(text) == 0 {
		return nil
	}
	return text
}

// decodeAnnotations reads the citations of a text.
func decodeAnnotations(annotations []byte, text dialect.Inside) []dialect.Citation {
	var citations []dialect.Citation
	for annotation := range dialect.Elements(annotations) {
		for name, value := range dialect.Members(annotation) {
			if string(name) != "url_citation" {
				continue
			}
			c := dialect.Citation{Dialect: dialect.OpenAI, Raw: annotation}
			for name, value := range dialect.Members(value) {
				switch string(name) {
				case "url":
					c.URL, _ = dialect.Text(value)
				case "title":
					c.Title, _ = dialect.Text(value)
				case "start_index":
					c.Start = position(value)
				case "end_index":
					c.End = position(value)
				}
			}
			c.Quote = quoted(text, c.Start, c.End)
			citations = append(citations, c)
		}
	}
	return citations
}

func position(value []byte) int {
	n, ok := dialect.Raw(value).Number()
	if !ok || n < 0 || n > maxCap {
		return 0
	}
	return int(n)
}

// quoted cuts characters out of a text.
func quoted(text dialect.Inside, start, end int) dialect.Inside {
	plain := text.String()
	at, from := 0, -1
	for i := range plain {
		if at == start {
			from = i
		}
		if at == end && from >= 0 {
			return dialect.Escape(plain[from:i])
		}
		at++
	}
	if from < 0 || end <= start || at != end {
		return nil
	}
	return dialect.Escape(plain[from:])
}
