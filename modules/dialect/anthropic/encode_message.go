package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

func (e *requestEncoder) system(dst []byte) []byte {
	var texts []*dialect.Part
	for i := range e.r.System {
		if !e.r.System[i].Text.Blank() {
			texts = append(texts, &e.r.System[i])
		}
	}
	if e.r.Format.Kind == dialect.FormatSchema {
		if _, enforced := e.answerSchema(); !enforced {
			texts = append(texts, e.schemaPrompt())
		}
	}
	if len(texts) == 0 {
		return dst
	}
	return e.content(dialect.Member(dst, "system"), texts)
}

// messages appends the turns. Those of one role that follow each other become one, the results of tools are
// first in theirs, and texts that say nothing are left out, as Anthropic refuses all else.
func (e *requestEncoder) messages(dst []byte) []byte {
	turns := e.r.Turns
	for i := 0; i < len(turns); {
		role := turns[i].Role
		var results, parts []*dialect.Part
		for ; i < len(turns) && (turns[i].Role == role || e.silent(&turns[i])); i++ {
			for j := range turns[i].Parts {
				part := &turns[i].Parts[j]
				switch {
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
		dst = append(dialect.Element(dst), `{"role":"user","content":`...)
		if role == dialect.RoleAssistant {
			dst = append(dst[:len(dst)-len(`user","content":`)], `assistant","content":`...)
		}
		dst = append(e.content(dst, parts), '}')
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

// skips tells whether a part is left out: a text that says nothing, and thoughts that Anthropic has not signed.
func (e *requestEncoder) skips(part *dialect.Part) bool {
	switch part.Kind {
	case dialect.PartText, dialect.PartRefusal:
		return part.Text.Blank()
	case dialect.PartReasoning:
		return part.Signer != dialect.Anthropic && (!e.policy.KeepReasoning || part.Text == nil)
	}
	return false
}

// content appends blocks: as a string where they are one plain text.
func (e *requestEncoder) content(dst []byte, parts []*dialect.Part) []byte {
	switch {
	case len(parts) == 0:
		return append(dst, `""`...)
	case len(parts) == 1 && parts[0].Kind == dialect.PartText && parts[0].Cache == "" && len(parts[0].Citations) == 0:
		return parts[0].Text.Quote(dst)
	}
	dst = append(dst, '[')
	for _, part := range parts {
		dst = e.block(dst, part)
	}
	return append(dst, ']')
}

func (e *requestEncoder) block(dst []byte, part *dialect.Part) []byte {
	begin := len(dst)
	dst = append(dialect.Element(dst), '{')
	known := true
	switch part.Kind {
	case dialect.PartText, dialect.PartRefusal:
		dst = appendText(dst, part)
	case dialect.PartReasoning:
		dst = appendThinking(dst, part)
	case dialect.PartToolUse:
		dst = appendToolUse(dst, part, part.Arguments)
	case dialect.PartToolResult:
		dst = e.toolResult(dst, part)
	case dialect.PartImage:
		dst = dialect.TextMember(dst, "type", "image")
		dst, known = appendSource(dst, part)
	case dialect.PartFile:
		dst, known = e.document(dst, part)
	case dialect.PartOpaque:
		if part.Signer == dialect.Anthropic {
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
	return append(appendCache(dst, part.Cache), '}')
}

func (e *requestEncoder) document(dst []byte, part *dialect.Part) ([]byte, bool) {
	if media := part.Source.MediaType; part.Source.Kind == dialect.SourceInline && media != "application/pdf" ||
		part.Source.Kind == dialect.SourceURL && media != "" && media != "application/pdf" {
		return dst, false
	}
	dst = dialect.TextMember(dst, "type", "document")
	dst, known := appendSource(dst, part)
	dst = dialect.TextMember(dst, "title", part.Title)
	dst = dialect.InsideMember(dst, "context", part.Context)
	if part.Cite {
		dst = append(dialect.Member(dst, "citations"), `{"enabled":true}`...)
	}
	return dst, known
}

func (e *requestEncoder) toolResult(dst []byte, part *dialect.Part) []byte {
	dst = dialect.TextMember(dst, "type", "tool_result")
	dst = dialect.TextMember(dst, "tool_use_id", part.ID)
	var parts []*dialect.Part
	for i := range part.Result {
		if !e.skips(&part.Result[i]) {
			parts = append(parts, &part.Result[i])
		}
	}
	if len(parts) > 0 {
		dst = e.content(dialect.Member(dst, "content"), parts)
	}
	if part.Failed {
		dst = append(dialect.Member(dst, "is_error"), "true"...)
	}
	return dst
}

func appendText(dst []byte, part *dialect.Part) []byte {
	dst = dialect.TextMember(dst, "type", "text")
	dst = part.Text.Quote(dialect.Member(dst, "text"))
	return appendCitations(dst, part.Citations)
}

// appendThinking appends thoughts. A signature that is not Anthropic's own is none.
func appendThinking(dst []byte, part *dialect.Part) []byte {
	if part.Redacted != nil {
		dst = dialect.TextMember(dst, "type", "redacted_thinking")
		return part.Redacted.Quote(dialect.Member(dst, "data"))
	}
	signature := part.Signature
	if part.Signer != dialect.Anthropic {
		signature = nil
	}
	dst = dialect.TextMember(dst, "type", "thinking")
	dst = part.Text.Quote(dialect.Member(dst, "thinking"))
	return signature.Quote(dialect.Member(dst, "signature"))
}

func appendToolUse(dst []byte, part *dialect.Part, arguments dialect.Raw) []byte {
	dst = dialect.TextMember(dst, "type", "tool_use")
	dst = dialect.String(dialect.Member(dst, "id"), part.ID)
	dst = dialect.String(dialect.Member(dst, "name"), part.Name)
	if len(arguments) == 0 {
		arguments = dialect.Raw("{}")
	}
	return append(dialect.Member(dst, "input"), arguments...)
}

// appendSource appends the member source; false where Anthropic cannot get at the content.
func appendSource(dst []byte, part *dialect.Part) ([]byte, bool) {
	s := &part.Source
	dst = append(dialect.Member(dst, "source"), '{')
	switch s.Kind {
	case dialect.SourceInline:
		dst = dialect.TextMember(dst, "type", "base64")
		dst = dialect.TextMember(dst, "media_type", s.MediaType)
		dst = s.Data.Quote(dialect.Member(dst, "data"))
	case dialect.SourceText:
		dst = dialect.TextMember(dst, "type", "text")
		dst = dialect.TextMember(dst, "media_type", "text/plain")
		dst = s.Data.Quote(dialect.Member(dst, "data"))
	case dialect.SourceURL:
		dst = dialect.TextMember(dst, "type", "url")
		dst = s.Data.Quote(dialect.Member(dst, "url"))
	case dialect.SourceID:
		if part.Signer != dialect.Anthropic {
			return dst, false
		}
		dst = dialect.TextMember(dst, "type", "file")
		dst = s.Data.Quote(dialect.Member(dst, "file_id"))
	default:
		return dst, false
	}
	return append(dst, '}'), true
}
