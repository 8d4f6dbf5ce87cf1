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

// result appends the member functionResponse. Google wants the name of the tool, which other dialects have with
// the call only; false where there is no such call.
func (e *requestEncoder) result(dst []byte, part *dialect.Part) ([]byte, bool) {
	name := e.called[part.ID]
	if name == "" {
		name = part.Name
	}
	if name == "" {
		return dst, false
	}
	dst = append(dialect.Member(dst, "functionResponse"), '{')
	dst = dialect.TextMember(dst, "id", part.ID)
	dst = dialect.String(dialect.Member(dst, "name"), name)
	dst = appendOutput(dialect.Member(dst, "response"), part)
	begun := false
	for i := range part.Result {
		p := &part.Result[i]
		if p.Kind == dialect.PartText {
			continue
		}
		if p.Source.Kind != dialect.SourceInline {
			e.gaps.Part(p, "send its content in base64")
			continue
		}
		if !begun {
			dst = append(dialect.Member(dst, "parts"), '[')
			begun = true
		}
		dst = e.part(dst, p)
	}
	if begun {
		dst = append(dst, ']')
	}
	return append(dst, '}'), true
}

// appendOutput appends what a tool gave: as it is where that is a JSON object, else as an output or an error,
// which are the names that Google's models know.
func appendOutput(dst []byte, part *dialect.Part) []byte {
	var text dialect.Inside
	for i := range part.Result {
		if part.Result[i].Kind == dialect.PartText {
			if text == nil {
				text = part.Result[i].Text
			} else {
				text = append(text[:len(text):len(text)], part.Result[i].Text...)
			}
		}
	}
	if part.Failed {
		return append(text.Quote(append(dst, `{"error":`...)), '}')
	}
	if len(text) > 0 && text[0] == '{' {
		object := text.Unescape(nil)
		if name, _ := lone(object); !isOutput(name) && dialect.Check(object) == nil {
			return append(dst, object...)
		}
	}
	return append(text.Quote(append(dst, `{"output":`...)), '}')
}

// media appends an image, a recording or a document; false where Google cannot get at it.
func (e *requestEncoder) media(dst []byte, part *dialect.Part) ([]byte, bool) {
	if part.Cite {
		e.gaps.Field(part.Place.Member("citations"), "")
	}
	if part.Context != nil {
		e.gaps.Field(part.Place.Member("context"), "say it in a text")
	}
	s := &part.Source
	switch s.Kind {
	case dialect.SourceText:
		return s.Data.Quote(dialect.Member(dst, "text")), true
	case dialect.SourceInline:
		dst = append(dialect.Member(dst, "inlineData"), '{')
		dst = dialect.TextMember(dst, "mimeType", s.MediaType)
		return append(dialect.InsideMember(dst, "data", s.Data), '}'), true
	case dialect.SourceID:
		if part.Signer != dialect.Gemini {
			return dst, false
		}
	case dialect.SourceURL:
	default:
		return dst, false
	}
	media := s.MediaType
	if media == "" {
		media = mediaOf(s.Data)
	}
	if media == "" && part.Kind == dialect.PartFile {
		media = "application/pdf" // the only document that other dialects have by address
	}
	dst = append(dialect.Member(dst, "fileData"), '{')
	dst = dialect.TextMember(dst, "mimeType", media)
	return append(dialect.InsideMember(dst, "fileUri", s.Data), '}'), true
}
