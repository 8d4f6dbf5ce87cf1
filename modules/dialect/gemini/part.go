package gemini

import "github.com/caddy-llm/caddy-llm/modules/dialect"

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
