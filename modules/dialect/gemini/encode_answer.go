package gemini

import (
	"encoding/json"
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// EncodeAnswer appends a whole response. Texts that follow each other become one, as they are when Google's models
// say them. What Google's clients have no place for, such as log probabilities of
// other providers, is left out, and so is a tool call that was cut by a bound on tokens. The error says that the
// model called a tool with what is no JSON object, which no client could make sense of.
func EncodeAnswer(dst []byte, a *dialect.Answer) ([]byte, *dialect.Error) {
	if a.Finish == dialect.FinishError {
		return nil, dialect.Unreadable(errors.New("the answer ended in an error"))
	}
	dst = append(dst, `{"candidates":[{"content":{"parts":[`...)
	var refusal dialect.Inside
	var pages []cited
	before, last := 0, dialect.PartKind(0)
	for i := range a.Parts {
		part := &a.Parts[i]
		switch {
		case part.Kind == dialect.PartText && last == dialect.PartText:
			dst = append(append(dst[:len(dst)-len(`"}`)], part.Text...), `"}`...)
		case part.Kind == dialect.PartRefusal:
			refusal = append(refusal, part.Text...)
		case part.Kind != dialect.PartToolUse || whole(part.Arguments):
			dst = appendSaid(dst, part)
		case a.Finish != dialect.FinishLength:
			return nil, dialect.Unreadable(errors.New("a tool is called with arguments that are no JSON object"))
		}
		last = 0
		if part.Kind == dialect.PartText {
			pages = appendCited(pages, part, before)
			before += part.Text.Len()
			if part.Signature == nil {
				last = dialect.PartText
			}
		}
	}
	dst = append(dst, `],"role":"model"}`...)
	dst = appendEnd(dst, a.Finish, refusal)
	dst = append(appendGrounding(dst, pages), `,"index":0}]`...)
	if a.HasUsage {
		dst = AppendUsage(dialect.Member(dst, "usageMetadata"), a.Usage)
	}
	dst = dialect.String(dialect.Member(dst, "modelVersion"), a.Model)
	dst = dialect.String(dialect.Member(dst, "responseId"), a.ID)
	return append(dst, '}'), nil
}

// whole tells whether arguments are a JSON object. None are one too.
func whole(arguments dialect.Raw) bool {
	return len(arguments) == 0 || arguments[0] == '{' && json.Valid(arguments)
}

// appendSaid appends a part of an answer; nothing where Google's clients know none of the kind.
func appendSaid(dst []byte, part *dialect.Part) []byte {
	switch {
	case part.Kind == dialect.PartText:
		dst = part.Text.Quote(append(dialect.Element(dst), `{"text":`...))
		dst = append(appendOwnSignature(dst, part), '}')
	case part.Kind == dialect.PartReasoning:
		mark, rest := signatureOf(part)
		if part.Redacted != nil && rest == nil {
			return dst
		}
		dst = part.Text.Quote(append(dialect.Element(dst), `{"text":`...))
		dst = append(appendSignature(append(dst, `,"thought":true`...), mark, rest), '}')
	case part.Kind == dialect.PartToolUse:
		dst = append(appendCall(append(dialect.Element(dst), '{'), part), '}')
	case part.Kind == dialect.PartOpaque && part.Signer == dialect.Gemini:
		dst = append(dialect.Element(dst), part.Raw...)
	}
	return dst
}

// appendEnd appends the members of a candidate that say why it ended.
func appendEnd(dst []byte, f dialect.Finish, refusal dialect.Inside) []byte {
	dst = dialect.TextMember(dst, "finishReason", finishReason(f, len(refusal) > 0))
	if len(refusal) == 0 {
		return dst
	}
	return dialect.InsideMember(dst, "finishMessage", refusal)
}
