package openai

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func (e *requestEncoder) messages(dst []byte) []byte {
	if len(e.r.System) > 0 {
		dst = append(dialect.Element(dst), `{"role":"system","content":`...)
		dst = append(e.content(dst, e.r.System), '}')
	}
	for i := range e.r.Turns {
		turn := &e.r.Turns[i]
		if turn.Role == dialect.RoleAssistant {
			dst = e.assistant(dst, turn.Parts)
		} else {
			dst = e.user(dst, turn.Parts)
		}
	}
	return dst
}

// user appends the results of tools, each as a message of its own, and then what else the user says.
func (e *requestEncoder) user(dst []byte, parts []dialect.Part) []byte {
	said := make([]dialect.Part, 0, len(parts))
	for i := range parts {
		part := &parts[i]
		if part.Kind != dialect.PartToolResult {
			said = append(said, *part)
			continue
		}
		dst = append(dialect.Element(dst), `{"role":"tool","tool_call_id":`...)
		dst = append(dialect.String(dst, part.ID), `,"content":`...)
		dst = append(e.content(dst, e.texts(part)), '}')
	}
	if len(said) > 0 || len(parts) == 0 {
		dst = append(dialect.Element(dst), `{"role":"user","content":`...)
		dst = append(e.content(dst, said), '}')
	}
	return dst
}

// texts gives the texts of a tool's result. OpenAI takes no other parts there. That the tool failed, its text
// tells: there is no member for it.
func (e *requestEncoder) texts(result *dialect.Part) []dialect.Part {
	texts := make([]dialect.Part, 0, len(result.Result))
	for i := range result.Result {
		if result.Result[i].Kind == dialect.PartText {
			texts = append(texts, result.Result[i])
		} else {
			e.gaps.Part(&result.Result[i], "a tool's result can only be text")
		}
	}
	return texts
}

// content appends parts: as a string where they are one plain text, which every server takes.
func (e *requestEncoder) content(dst []byte, parts []dialect.Part) []byte {
	switch {
	case len(parts) == 0:
		return append(dst, `""`...)
	case len(parts) == 1 && parts[0].Kind == dialect.PartText:
		return parts[0].Text.Quote(dst)
	}
	dst = append(dst, '[')
	for i := range parts {
		dst = e.part(dst, &parts[i])
	}
	return append(dst, ']')
}

func (e *requestEncoder) part(dst []byte, part *dialect.Part) []byte {
	switch part.Kind {
	case dialect.PartText, dialect.PartRefusal:
		return appendTextPart(dst, part.Text)
	case dialect.PartImage:
		if part.Source.Kind == dialect.SourceInline || part.Source.Kind == dialect.SourceURL {
			dst = append(dialect.Element(dst), `{"type":"image_url","image_url":{"url":`...)
			dst = dialect.TextMember(appendAddress(dst, part.Source), "detail", part.Detail)
			return append(dst, "}}"...)
		}
	case dialect.PartAudio:
		if format := audioFormat(part.Source.MediaType); format != "" && part.Source.Kind == dialect.SourceInline {
			dst = append(dialect.Element(dst), `{"type":"input_audio","input_audio":{`...)
			dst = dialect.InsideMember(dst, "data", part.Source.Data)
			return append(dialect.TextMember(dst, "format", format), "}}"...)
		}
	case dialect.PartFile:
		return e.file(dst, part)
	}
	e.gaps.Part(part, "")
	return dst
}

func appendTextPart(dst []byte, text dialect.Inside) []byte {
	dst = append(dialect.Element(dst), `{"type":"text","text":`...)
	return append(text.Quote(dst), '}')
}

func (e *requestEncoder) file(dst []byte, part *dialect.Part) []byte {
	if part.Cite {
		e.gaps.Field(part.Place.Member("citations"), "")
	}
	if part.Context != nil {
		e.gaps.Field(part.Place.Member("context"), "say it in a text")
	}
	switch part.Source.Kind {
	case dialect.SourceText:
		return appendTextPart(dst, part.Source.Data)
	case dialect.SourceInline:
		title := part.Title
		if title == "" {
			title = "file" // OpenAI wants one
		}
		dst = append(dialect.Element(dst), `{"type":"file","file":{`...)
		dst = dialect.TextMember(dst, "filename", title)
		return append(appendAddress(dialect.Member(dst, "file_data"), part.Source), "}}"...)
	case dialect.SourceID:
		if part.Signer == dialect.OpenAI {
			dst = append(dialect.Element(dst), `{"type":"file","file":{`...)
			return append(dialect.InsideMember(dst, "file_id", part.Source.Data), "}}"...)
		}
	}
	e.gaps.Part(part, "send its content in base64")
	return dst
}

// appendAddress appends where a content is: its address, or itself as a data URL.
func appendAddress(dst []byte, s dialect.Source) []byte {
	dst = append(dst, '"')
	if s.Kind == dialect.SourceInline {
		dst = append(dst, "data:"...)
		dst = append(dst, dialect.Escape(s.MediaType)...)
		dst = append(dst, ";base64,"...)
	}
	return append(append(dst, s.Data...), '"')
}

// audioFormat is OpenAI's name for a recording's media type; empty where it takes none of the kind.
func audioFormat(media string) string {
	switch strings.TrimPrefix(media, "audio/") {
	case "wav", "x-wav", "wave":
		return "wav"
	case "mp3", "mpeg":
		return "mp3"
	}
	return ""
}

// assistant appends what the model said. Its texts become one, as they are when the model says them here.
func (e *requestEncoder) assistant(dst []byte, parts []dialect.Part) []byte {
	dst = append(dialect.Element(dst), `{"role":"assistant"`...)
	dst = appendSaid(dst, parts)
	if e.policy.KeepReasoning {
		dst = appendThoughts(dst, parts)
	}
	for i := range parts {
		switch parts[i].Kind {
		case dialect.PartText, dialect.PartRefusal, dialect.PartReasoning, dialect.PartToolUse:
		default:
			e.gaps.Part(&parts[i], "")
		}
	}
	return append(appendCalls(dst, parts, false), '}')
}

// appendSaid appends the members content and, where there is one, refusal.
func appendSaid(dst []byte, parts []dialect.Part) []byte {
	dst = appendJoined(dst, "content", parts, dialect.PartText, true)
	return appendJoined(dst, "refusal", parts, dialect.PartRefusal, false)
}

// appendThoughts appends the member reasoning_content, where there are thoughts that can be read.
func appendThoughts(dst []byte, parts []dialect.Part) []byte {
	return appendJoined(dst, "reasoning_content", parts, dialect.PartReasoning, false)
}

// appendJoined appends a member with the texts of all parts of a kind; null where there is none and it is needed.
func appendJoined(dst []byte, name string, parts []dialect.Part, kind dialect.PartKind, needed bool) []byte {
	begun := false
	for i := range parts {
		if parts[i].Kind != kind || parts[i].Text == nil {
			continue
		}
		if !begun {
			dst = append(dialect.Member(dst, name), '"')
			begun = true
		}
		dst = append(dst, parts[i].Text...)
	}
	switch {
	case begun:
		return append(dst, '"')
	case needed:
		return append(dialect.Member(dst, name), "null"...)
	}
	return dst
}

// appendCalls appends the member tool_calls, where there are calls. Signatures of Google's travel to clients,
// who send them back; OpenAI's own servers do not take them.
func appendCalls(dst []byte, parts []dialect.Part, signed bool) []byte {
	begun := false
	for i := range parts {
		part := &parts[i]
		if part.Kind != dialect.PartToolUse {
			continue
		}
		if !begun {
			dst = append(dialect.Member(dst, "tool_calls"), '[')
			begun = true
		}
		dst = append(dialect.Element(dst), `{"id":`...)
		dst = append(dialect.String(dst, part.ID), `,"type":"function","function":{"name":`...)
		dst = append(dialect.String(dst, part.Name), `,"arguments":`...)
		dst = append(appendArguments(dst, part.Arguments), '}')
		if signed {
			dst = appendThoughtSignature(dst, part)
		}
		dst = append(dst, '}')
	}
	if begun {
		dst = append(dst, ']')
	}
	return dst
}

// appendArguments appends a call's arguments, which OpenAI has as a string.
func appendArguments(dst []byte, arguments dialect.Raw) []byte {
	if len(arguments) == 0 {
		return append(dst, `"{}"`...)
	}
	return dialect.Quote(dst, arguments)
}
