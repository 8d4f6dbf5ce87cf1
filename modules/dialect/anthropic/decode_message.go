package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

func (d *requestDecoder) messages(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("messages", "an array")
	}
	place := dialect.Place{Root: "messages", Turn: -1}
	for raw := range dialect.Elements(value) {
		place.Turn++
		role, content := "", []byte(nil)
		for name, value := range dialect.Members(raw) {
			switch string(name) {
			case "role":
				role, _ = dialect.Text(value)
			case "content":
				content = value
			}
		}
		parts, err := decodeContent(content, place)
		if err != nil {
			return err
		}
		switch role {
		case "user":
			d.r.Turns = append(d.r.Turns, dialect.Turn{Role: dialect.RoleUser, Parts: parts})
		case "assistant":
			d.r.Turns = append(d.r.Turns, dialect.Turn{Role: dialect.RoleAssistant, Parts: parts})
		case "system":
			d.r.System = append(d.r.System, parts...)
		default:
			return dialect.Mistyped(place.Member("role"), "user or assistant")
		}
	}
	return nil
}

// decodeContent reads a content: a string or an array of blocks.
func decodeContent(content []byte, place dialect.Place) ([]dialect.Part, *dialect.Error) {
	switch {
	case content == nil || string(content) == "null":
		return nil, dialect.Missing(place.Member("content"), "say something")
	case content[0] == '"':
		return []dialect.Part{{Kind: dialect.PartText, Place: place, Text: dialect.InsideOf(content)}}, nil
	case content[0] != '[':
		return nil, dialect.Mistyped(place.Member("content"), "a string or an array of blocks")
	}
	var parts []dialect.Part
	place.List, place.Index = "content", -1
	for block := range dialect.Elements(content) {
		place.Index++
		part, err := decodeBlock(block, place)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// block holds the members of a content block, as they are written; nil where they are missing or null.
type block struct {
	kind                                           string
	text, cache, citations, source, title, context []byte
	id, name, input, useID, content, isError       []byte
	thinking, signature, data                      []byte
}

func readBlock(raw []byte) (b block) {
	for name, value := range dialect.Members(raw) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "type":
			b.kind, _ = dialect.Text(value)
		case "text":
			b.text = value
		case "cache_control":
			b.cache = value
		case "citations":
			b.citations = value
		case "source":
			b.source = value
		case "title":
			b.title = value
		case "context":
			b.context = value
		case "id":
			b.id = value
		case "name":
			b.name = value
		case "input":
			b.input = value
		case "tool_use_id":
			b.useID = value
		case "content":
			b.content = value
		case "is_error":
			b.isError = value
		case "thinking":
			b.thinking = value
		case "signature":
			b.signature = value
		case "data":
			b.data = value
		}
	}
	return b
}

// decodeBlock reads a content block of a request. One that we do not know is opaque.
func decodeBlock(raw []byte, place dialect.Place) (dialect.Part, *dialect.Error) {
	if raw[0] != '{' {
		return dialect.Part{}, dialect.Mistyped(place.String(), "an object")
	}
	b := readBlock(raw)
	part := decodeKnown(b)
	part.Place = place
	if b.cache != nil {
		part.Cache = cacheOf(b.cache)
	}
	switch part.Kind {
	case dialect.PartText:
		if part.Text == nil {
			return part, dialect.Missing(place.Member("text"), "a text block needs one")
		}
	case dialect.PartToolUse:
		switch {
		case part.ID == "":
			return part, dialect.Missing(place.Member("id"), "its result names it")
		case part.Name == "":
			return part, dialect.Missing(place.Member("name"), "name the tool that was called")
		case part.Arguments[0] != '{':
			return part, dialect.Mistyped(place.Member("input"), "an object")
		}
	case dialect.PartToolResult:
		if part.ID == "" {
			return part, dialect.Missing(place.Member("tool_use_id"), "say which call this is the result of")
		}
		if b.content == nil {
			break
		}
		var err *dialect.Error
		if part.Result, err = decodeContent(b.content, place); err != nil {
			return part, err
		}
		for i := range part.Result {
			part.Result[i].Place = place
		}
	case 0:
		part = dialect.Part{Kind: dialect.PartOpaque, Place: place, Signer: dialect.Anthropic, Raw: raw}
	}
	return part, nil
}

// decodeKnown reads a block that the neutral form has a kind for; its kind is zero else.
func decodeKnown(b block) (part dialect.Part) {
	switch b.kind {
	case "text":
		part.Kind, part.Text = dialect.PartText, dialect.InsideOf(b.text)
		part.Citations = decodeCitations(b.citations)
	case "thinking":
		part.Kind, part.Text = dialect.PartReasoning, dialect.InsideOf(b.thinking)
		if signature := dialect.InsideOf(b.signature); len(signature) > 0 {
			part.Signature, part.Signer = signature, dialect.Anthropic
		}
	case "redacted_thinking":
		part.Kind, part.Redacted, part.Signer = dialect.PartReasoning, dialect.InsideOf(b.data), dialect.Anthropic
	case "tool_use":
		part.Kind, part.Arguments = dialect.PartToolUse, b.input
		part.ID, _ = dialect.Text(b.id)
		part.Name, _ = dialect.Text(b.name)
		if part.Arguments == nil {
			part.Arguments = dialect.Raw("{}")
		}
	case "tool_result":
		part.Kind, part.Failed = dialect.PartToolResult, string(b.isError) == "true"
		part.ID, _ = dialect.Text(b.useID)
	case "image":
		part.Kind = dialect.PartImage
		if part.Source = decodeSource(b.source); part.Source.Kind == 0 {
			return dialect.Part{}
		}
	case "document":
		part.Kind = dialect.PartFile
		if part.Source = decodeSource(b.source); part.Source.Kind == 0 {
			return dialect.Part{}
		}
		part.Title, _ = dialect.Text(b.title)
		part.Context = dialect.InsideOf(b.context)
		for name, value := range dialect.Members(b.citations) {
			part.Cite = part.Cite || string(name) == "enabled" && string(value) == "true"
		}
	}
	if part.Source.Kind == dialect.SourceID {
		part.Signer = dialect.Anthropic
	}
	return part
}

// decodeSource reads where the content of an image or a document is; its kind is zero where it is made of blocks.
func decodeSource(source []byte) (s dialect.Source) {
	kind := ""
	var data, url, file dialect.Inside
	for name, value := range dialect.Members(source) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "media_type":
			s.MediaType, _ = dialect.Text(value)
		case "data":
			data = dialect.InsideOf(value)
		case "url":
			url = dialect.InsideOf(value)
		case "file_id":
			file = dialect.InsideOf(value)
		}
	}
	switch kind {
	case "base64":
		s.Kind, s.Data = dialect.SourceInline, data
	case "text":
		s.Kind, s.Data = dialect.SourceText, data
	case "url":
		s.Kind, s.Data = dialect.SourceURL, url
	case "file":
		s.Kind, s.Data = dialect.SourceID, file
	}
	if s.Data == nil {
		return dialect.Source{}
	}
	return s
}
