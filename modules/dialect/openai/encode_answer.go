package openai

import (
	"errors"
	"slices"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// EncodeAnswer appends a whole chat completion. What OpenAI's clients have no place for, such as documents that
// are cited by page and the marks of tools that the provider ran itself, is left out.
func EncodeAnswer(dst []byte, a *dialect.Answer) ([]byte, *dialect.Error) {
	if a.Finish == dialect.FinishError {
		return nil, dialect.Unreadable(errors.New("the answer ended in an error"))
	}
	dst = append(dst, '{')
	dst = dialect.String(dialect.Member(dst, "id"), a.ID)
	dst = dialect.TextMember(dst, "object", "chat.completion")
	dst = dialect.IntMember(dst, "created", a.Created)
	dst = dialect.String(dialect.Member(dst, "model"), a.Model)
	dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant"`...)
	dst = appendSaid(dst, a.Parts)
	dst = appendThoughts(dst, a.Parts)
	dst = appendDetails(dst, a.Parts)
	dst = appendAnnotations(dst, a.Parts)
	dst = appendCalls(dst, a.Parts, true)
	dst = append(dst, `},"logprobs":`...)
	if a.Logprobs.Null() {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, a.Logprobs...)
	}
	dst = append(dialect.TextMember(dst, "finish_reason", finishReason(a.Finish)), "}]"...)
	if a.HasUsage {
		dst = AppendUsage(dialect.Member(dst, "usage"), a.Usage)
	}
	return append(dst, '}'), nil
}

// appendDetails appends the member reasoning_details, where there are signed thoughts.
func appendDetails(dst []byte, parts []dialect.Part) []byte {
	n := 0
	for i := range parts {
		part := &parts[i]
		if part.Kind != dialect.PartReasoning || part.Signature == nil && part.Redacted == nil {
			continue
		}
		if n == 0 {
			dst = append(dialect.Member(dst, "reasoning_details"), '[')
		}
		dst = appendDetail(dialect.Element(dst), part, n)
		n++
	}
	if n > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// appendAnnotations appends the member annotations, where a text cites pages of the web. Its indices count the
// characters of all texts together.
func appendAnnotations(dst []byte, parts []dialect.Part) []byte {
	if !slices.ContainsFunc(parts, citesPage) {
		return dst
	}
	before := 0
	dst = append(dialect.Member(dst, "annotations"), '[')
	for i := range parts {
		part := &parts[i]
		if part.Kind != dialect.PartText {
			continue
		}
		for j := range part.Citations {
			if part.Citations[j].URL != "" {
				dst = appendAnnotation(dialect.Element(dst), &part.Citations[j], before, part.Text.Characters())
			}
		}
		before += part.Text.Characters()
	}
	return append(dst, ']')
}

// citesPage tells whether a text cites a page of the web.
func citesPage(part dialect.Part) bool {
	return slices.ContainsFunc(part.Citations, func(c dialect.Citation) bool { return c.URL != "" })
}

// appendAnnotation appends a citation of a text of so many characters, with so many before it.
func appendAnnotation(dst []byte, c *dialect.Citation, before, length int) []byte {
	start, end := c.Start, c.End
	if end == 0 {
		end = length
	}
	dst = append(dst, `{"type":"url_citation","url_citation":{"start_index":`...)
	dst = strconv.AppendInt(dst, int64(before+start), 10)
	dst = dialect.IntMember(dst, "end_index", int64(before+end))
	dst = dialect.String(dialect.Member(dst, "title"), c.Title)
	dst = dialect.String(dialect.Member(dst, "url"), c.URL)
	return append(dst, "}}"...)
}
