package gemini

import (
	"strconv"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// openCalls are the calls of tools that have no result yet, for clients that give them no ids.
type openCalls struct {
	byName   map[string][]string // ids, oldest first
	answered map[string]bool
	made     int // ids that were made up
}

// add takes a call and gives its id.
func (o *openCalls) add(id, name string) string {
	if id == "" {
		id = o.make()
	}
	if o.byName == nil {
		o.byName, o.answered = map[string][]string{}, map[string]bool{}
	}
	o.byName[name] = append(o.byName[name], id)
	return id
}

// answer gives the id of the call that a result is for: its own, else that of the first call of its name that has
// no result.
func (o *openCalls) answer(id, name string) string {
	if id != "" {
		if o.answered != nil {
			o.answered[id] = true
		}
		return id
	}
	for ids := o.byName[name]; len(ids) > 0; ids = o.byName[name] {
		if o.byName[name] = ids[1:]; !o.answered[ids[0]] {
			return ids[0]
		}
	}
	return o.make()
}

func (o *openCalls) make() string {
	o.made++
	return "gemini_call_" + strconv.Itoa(o.made)
}

func (d *requestDecoder) contents(value []byte) *dialect.Error {
	if !isList(value) {
		return dialect.Mistyped("contents", "an array")
	}
	place := dialect.Place{Root: "contents", Turn: -1}
	for raw := range dialect.Elements(list(value)) {
		place.Turn++
		if raw[0] != '{' {
			return dialect.Mistyped(place.String(), "an object")
		}
		turn, role := dialect.Turn{Role: dialect.RoleUser}, ""
		var parts []byte
		for name, value := range fields(raw) {
			switch string(name) {
			case "role":
				role, _ = dialect.Text(value)
			case "parts":
				parts = value
			}
		}
		switch role {
		case "", "user", "function", "tool":
		case "model":
			turn.Role = dialect.RoleAssistant
		default:
			return dialect.Mistyped(place.Member("role"), "user or model")
		}
		if !isList(parts) {
			return dialect.Mistyped(place.Member("parts"), "an array of parts")
		}
		at := place
		at.List, at.Index = "parts", -1
		for raw := range dialect.Elements(list(parts)) {
			at.Index++
			part, err := d.part(raw, at)
			if err != nil {
				return err
			}
			turn.Parts = append(turn.Parts, part)
		}
		d.r.Turns = append(d.r.Turns, turn)
	}
	return nil
}

// part reads a part of a request.
func (d *requestDecoder) part(raw []byte, place dialect.Place) (dialect.Part, *dialect.Error) {
	if raw[0] != '{' {
		return dialect.Part{}, dialect.Mistyped(place.String(), "an object")
	}
	p := readPart(raw)
	part := p.decode()
	part.Place = place
	switch part.Kind {
	case dialect.PartToolUse:
		if part.Name == "" {
			return part, dialect.Missing(place.Member("functionCall.name"), "name the tool that was called")
		}
		if part.Arguments[0] != '{' {
			return part, dialect.Mistyped(place.Member("functionCall.args"), "an object")
		}
		part.ID = d.calls.add(part.ID, part.Name)
	case dialect.PartToolResult:
		if part.Name == "" {
			return part, dialect.Missing(place.Member("functionResponse.name"), "name the tool that was called")
		}
		if p.response.value == nil || p.response.value[0] != '{' {
			return part, dialect.Mistyped(place.Member("functionResponse.response"), "an object")
		}
		part.ID = d.calls.answer(part.ID, part.Name)
		for i := range part.Result {
			part.Result[i].Place = place
		}
	}
	return part, nil
}

// wirePart holds the members of a part, as they are written; nil where they are missing.
type wirePart struct {
	raw              []byte
	text, signature  dialect.Inside
	thought          bool
	data, file       source
	hasData, hasFile bool
	call, result     bool
	id, name         string
	args             dialect.Raw
	response         response
}

// source is an inlineData or a fileData.
type source struct {
	media, title string
	content      dialect.Inside
}

// response is what a functionResponse tells.
type response struct {
	value []byte
	parts []byte
}

func readPart(raw []byte) (p wirePart) {
	p.raw = raw
	for name, value := range dialect.Members(raw) {
		if string(value) == "null" {
			continue
		}
		switch string(camel(name)) {
		case "text":
			p.text = dialect.InsideOf(value)
		case "thought":
			p.thought = string(value) == "true"
		case "thoughtSignature":
			p.signature = dialect.InsideOf(value)
		case "inlineData":
			p.data, p.hasData = readSource(value), true
		case "fileData":
			p.file, p.hasFile = readSource(value), true
		case "functionCall":
			p.call = true
			p.function(value)
		case "functionResponse":
			p.result = true
			p.function(value)
		}
	}
	return p
}

func (p *wirePart) function(value []byte) {
	for name, value := range dialect.Members(value) {
		switch string(camel(name)) {
		case "id":
			p.id, _ = dialect.Text(value)
		case "name":
			p.name, _ = dialect.Text(value)
		case "args":
			if string(value) != "null" {
				p.args = value
			}
		case "response":
			p.response.value = value
		case "parts":
			p.response.parts = value
		}
	}
}

func readSource(value []byte) (s source) {
	for name, value := range dialect.Members(value) {
		switch string(camel(name)) {
		case "mimeType":
			s.media, _ = dialect.Text(value)
		case "displayName":
			s.title, _ = dialect.Text(value)
		case "data", "fileUri":
			s.content = dialect.InsideOf(value)
		}
	}
	return s
}

// decode reads a part that the neutral form has a kind for. All others are opaque.
func (p *wirePart) decode() (part dialect.Part) {
	switch {
	case p.call:
		part = dialect.Part{Kind: dialect.PartToolUse, ID: p.id, Name: p.name, Arguments: p.args}
		if part.Arguments == nil {
			part.Arguments = dialect.Raw("{}")
		}
	case p.result:
		part = dialect.Part{Kind: dialect.PartToolResult, ID: p.id, Name: p.name}
		part.Result, part.Failed = p.response.decode()
	case p.hasData && p.data.content != nil && p.data.media != "":
		part = mediaPart(p.data, dialect.SourceInline)
	case p.hasFile && p.file.content != nil:
		part = mediaPart(p.file, dialect.SourceURL)
		if isUpload(p.file.content) {
			part.Source.Kind, part.Signer = dialect.SourceID, dialect.Gemini
		}
	case p.text != nil && p.thought:
		part = dialect.Part{Kind: dialect.PartReasoning, Text: p.text}
	case p.text != nil:
		part = dialect.Part{Kind: dialect.PartText, Text: p.text}
	default:
		return dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Gemini, Raw: p.raw}
	}
	if part.Source.Kind == 0 {
		sign(&part, p.signature)
	}
	return part
}

// mediaPart is the part of an image, a recording or a document.
func mediaPart(s source, kind dialect.SourceKind) dialect.Part {
	part := dialect.Part{Kind: dialect.PartFile, Source: dialect.Source{Kind: kind, MediaType: s.media, Data: s.content}}
	media := s.media
	if media == "" {
		media = mediaOf(s.content)
	}
	switch {
	case strings.HasPrefix(media, "image/"):
		part.Kind = dialect.PartImage
	case strings.HasPrefix(media, "audio/") && kind == dialect.SourceInline:
		part.Kind = dialect.PartAudio
	default:
		part.Title = s.title
	}
	return part
}

// isUpload tells whether an address is of a file that was uploaded to Google, whom alone it means something to.
func isUpload(address dialect.Inside) bool {
	text := address.String()
	return strings.HasPrefix(text, "https://generativelanguage.googleapis.com/") || !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://")
}

// mediaOf guesses from an address what is there; empty where it does not tell.
func mediaOf(address dialect.Inside) string {
	path, _, _ := strings.Cut(address.String(), "?")
	path = strings.ToLower(path)
	switch dot := strings.LastIndexByte(path, '.'); path[dot+1:] {
	case "png":
		return "image/png"
	case "jpg", "jpeg":
		return "image/jpeg"
	case "webp":
		return "image/webp"
	case "gif":
		return "image/gif"
	case "heic":
		return "image/heic"
	case "pdf":
		return "application/pdf"
	}
	return ""
}

// decode reads a tool's result: what it calls its output, or its error, and else all of it, as Google reads it.
func (r *response) decode() (result []dialect.Part, failed bool) {
	text := dialect.InsideOf(dialect.Quote(nil, r.value))
	if name, value := lone(r.value); isOutput(name) {
		if failed = name == "error"; value[0] == '"' {
			text = dialect.InsideOf(value)
		} else {
			text = dialect.InsideOf(dialect.Quote(nil, value))
		}
	}
	if len(text) > 0 {
		result = append(result, dialect.Part{Kind: dialect.PartText, Text: text})
	}
	for raw := range dialect.Elements(list(r.parts)) {
		p := readPart(raw)
		result = append(result, p.decode())
	}
	return result, failed
}

// isOutput tells whether a member's name says that it is all of a tool's result.
func isOutput(name string) bool { return name == "output" || name == "result" || name == "error" }

// lone gives the only member of an object; nothing where it has several.
func lone(object []byte) (name string, value []byte) {
	n := 0
	for key, v := range dialect.Members(object) {
		if n++; n > 1 {
			return "", nil
		}
		name, value = string(key), v
	}
	return name, value
}
