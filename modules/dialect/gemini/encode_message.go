package gemini

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func (e *requestEncoder) system(dst []byte) []byte {
	begun := false
	for i := range e.r.System {
		text := e.r.System[i].Text
		if len(text) == 0 {
			continue
		}
		if !begun {
			dst = append(dialect.Member(dst, "systemInstruction"), `{"parts":[`...)
			begun = true
		}
		dst = append(text.Quote(append(dialect.Element(dst), `{"text":`...)), '}')
	}
	if begun {
		dst = append(dst, "]}"...)
	}
	return dst
}

// contents appends the turns. Those of one role that follow each other become one, since Google wants the results
// of all calls of a turn together, and the results are first in theirs.
func (e *requestEncoder) contents(dst []byte) []byte {
	turns := e.r.Turns
	for i := 0; i < len(turns); {
		role := turns[i].Role
		var results, parts []*dialect.Part
		for ; i < len(turns) && (turns[i].Role == role || e.silent(&turns[i])); i++ {
			for j := range turns[i].Parts {
				switch part := &turns[i].Parts[j]; {
				case e.skips(part):
				case part.Kind == dialect.PartToolResult:
					results = append(results, part)
				default:
					parts = append(parts, part)
				}
			}
		}
		parts = append(results, parts...)
		if role == dialect.RoleAssistant && len(parts) == 0 {
			continue
		}
		name := "user"
		if role == dialect.RoleAssistant {
			name = "model"
		}
		dst = append(dialect.Element(dst), '{')
		dst = append(dialect.TextMember(dst, "role", name), `,"parts":[`...)
		if len(parts) == 0 {
			dst = append(dst, `{"text":""}`...)
		}
		if role == dialect.RoleAssistant {
			dst = e.said(dst, parts)
		} else {
			for _, part := range parts {
				dst = e.part(dst, part)
			}
		}
		dst = append(dst, "]}"...)
	}
	return dst
}

// silent tells whether the model said nothing in a turn that could be told.
func (e *requestEncoder) silent(turn *dialect.Turn) bool {
	if turn.Role != dialect.RoleAssistant {
		return false
	}
	for i := range turn.Parts {
		if !e.skips(&turn.Parts[i]) {
			return false
		}
	}
	return true
}

// skips tells whether a part is left out: a text that says nothing, and thoughts that Google has not signed.
func (e *requestEncoder) skips(part *dialect.Part) bool {
	switch part.Kind {
	case dialect.PartText, dialect.PartRefusal:
		return len(part.Text) == 0 && part.Signer != dialect.Gemini
	case dialect.PartReasoning:
		return part.Signer != dialect.Gemini && (!e.policy.KeepReasoning || part.Text == nil)
	}
	return false
}

// said appends what the model said. Gemini refuses a turn of calls whose first has no signature, and takes a word
// in place of one where another model called, or a client lost it.
func (e *requestEncoder) said(dst []byte, parts []*dialect.Part) []byte {
	first := wantsSignature(e.r.Model)
	for _, part := range parts {
		if part.Kind != dialect.PartToolUse {
			dst = e.part(dst, part)
			continue
		}
		if e.called == nil {
			e.called = map[string]string{}
		}
		e.called[part.ID] = part.Name
		dst = appendCall(append(dialect.Element(dst), '{'), part)
		if first && (part.Signature == nil || part.Signer != dialect.Gemini) {
			dst = dialect.TextMember(dst, "thoughtSignature", unsigned)
		}
		first = false
		dst = append(dst, '}')
	}
	return dst
}

func (e *requestEncoder) part(dst []byte, part *dialect.Part) []byte {
	begin := len(dst)
	dst = append(dialect.Element(dst), '{')
	known := true
	switch part.Kind {
	case dialect.PartText, dialect.PartRefusal:
		dst = part.Text.Quote(dialect.Member(dst, "text"))
		dst = appendOwnSignature(dst, part)
	case dialect.PartReasoning:
		dst = append(part.Text.Quote(dialect.Member(dst, "text")), `,"thought":true`...)
		dst = appendOwnSignature(dst, part)
	case dialect.PartToolResult:
		dst, known = e.result(dst, part)
	case dialect.PartImage, dialect.PartAudio, dialect.PartFile:
		dst, known = e.media(dst, part)
	case dialect.PartOpaque:
		if part.Signer == dialect.Gemini {
			return append(dst[:len(dst)-1], part.Raw...)
		}
		known = false
	default:
		known = false
	}
	if !known {
		e.gaps.Part(part, "")
		return dst[:begin]
	}
	return append(dst, '}')
}

// appendOwnSignature appends the signature of a part that Google signed.
func appendOwnSignature(dst []byte, part *dialect.Part) []byte {
	if part.Signer != dialect.Gemini {
		return dst
	}
	return dialect.InsideMember(dst, "thoughtSignature", part.Signature)
}

// appendCall appends the member functionCall, and the signature where Google signed the call.
func appendCall(dst []byte, part *dialect.Part) []byte {
	dst = append(dialect.Member(dst, "functionCall"), '{')
	dst = dialect.TextMember(dst, "id", part.ID)
	dst = dialect.String(dialect.Member(dst, "name"), part.Name)
	arguments := part.Arguments
	if len(arguments) == 0 {
		arguments = dialect.Raw("{}")
	}
	dst = append(append(dialect.Member(dst, "args"), arguments...), '}')
	return appendOwnSignature(dst, part)
}
