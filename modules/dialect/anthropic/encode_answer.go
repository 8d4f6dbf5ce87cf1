package anthropic

import (
	"encoding/json"
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// EncodeAnswer appends a whole message. What Anthropic's clients have no place for, such as log probabilities,
// is left out, and so is a tool call that was cut by a bound on tokens. The error says that the model called a
// tool with what is no JSON object, which no client could make sense of.
func EncodeAnswer(dst []byte, a *dialect.Answer) ([]byte, *dialect.Error) {
	if a.Finish == dialect.FinishError {
		return nil, dialect.Unreadable(errors.New("the answer ended in an error"))
	}
	dst = append(dst, '{')
	dst = dialect.String(dialect.Member(dst, "id"), a.ID)
	dst = append(dst, `,"type":"message","role":"assistant"`...)
	dst = dialect.String(dialect.Member(dst, "model"), a.Model)
	dst = append(dialect.Member(dst, "content"), '[')
	var refusal dialect.Inside
	for i := range a.Parts {
		part := &a.Parts[i]
		switch part.Kind {
		case dialect.PartRefusal:
			refusal = append(refusal, part.Text...)
		case dialect.PartToolUse:
			if whole(part.Arguments) {
				dst = append(appendToolUse(append(dialect.Element(dst), '{'), part, part.Arguments), '}')
			} else if a.Finish != dialect.FinishLength {
				return nil, dialect.Unreadable(errors.New("a tool is called with arguments that are no JSON object"))
			}
		default:
			dst = appendAnswerBlock(dst, part)
		}
	}
	dst = append(dst, ']')
	dst = appendStop(dst, a.Finish, a.StopSequence, refusal)
	dst = AppendUsage(dialect.Member(dst, "usage"), a.Usage)
	return append(dst, '}'), nil
}

// whole tells whether arguments are a JSON object. None are one too.
func whole(arguments dialect.Raw) bool {
	return len(arguments) == 0 || arguments[0] == '{' && json.Valid(arguments)
}

// appendAnswerBlock appends a block of an answer; nothing where Anthropic's clients know none of the kind.
func appendAnswerBlock(dst []byte, part *dialect.Part) []byte {
	switch {
	case part.Kind == dialect.PartText:
		dst = appendText(append(dialect.Element(dst), '{'), part)
	case part.Kind == dialect.PartReasoning && (part.Redacted == nil || part.Signer == dialect.Anthropic):
		dst = appendThinking(append(dialect.Element(dst), '{'), part)
	case part.Kind == dialect.PartOpaque && part.Signer == dialect.Anthropic:
		return append(dialect.Element(dst), part.Raw...)
	default:
		return dst
	}
	return append(dst, '}')
}

// appendStop appends the members that say why an answer ended.
func appendStop(dst []byte, f dialect.Finish, stopSequence string, refusal dialect.Inside) []byte {
	dst = dialect.TextMember(dst, "stop_reason", stopReason(f, stopSequence, len(refusal) > 0))
	dst = dialect.Member(dst, "stop_sequence")
	if stopSequence == "" {
		dst = append(dst, "null"...)
	} else {
		dst = dialect.String(dst, stopSequence)
	}
	if len(refusal) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "stop_details"), `{"type":"refusal","category":null,"explanation":`...)
	return append(refusal.Quote(dst), '}')
}
