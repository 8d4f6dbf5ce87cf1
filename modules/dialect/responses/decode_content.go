package responses

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

// content reads the content of a message or the output of a call: nothing, a string, or an array of parts.
func (d *requestDecoder) content(place dialect.Place, list string, value []byte) ([]dialect.Part, *dialect.Error) {
	switch {
	case value == nil:
		return nil, nil
	case value[0] == '"':
		if len(value) == len(`""`) {
			return nil, nil
		}
		return []dialect.Part{{Kind: dialect.PartText, Place: place, Text: dialect.InsideOf(value)}}, nil
	case value[0] != '[':
		return nil, dialect.Mistyped(place.Member(list), "a string or an array of parts")
	}
	var parts []dialect.Part
	place.List, place.Index = list, -1
	for raw := range dialect.Elements(value) {
		place.Index++
		part := decodePart(raw)
		if part.Place = place; part.Kind == 0 {
			d.unmet(place.String())
			continue
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// decodePart reads a part of a content. Its kind is zero where the neutral form has none for it.
func decodePart(raw []byte) dialect.Part {
	var part dialect.Part
	kind := ""
	var text, audio dialect.Inside
	for name, value := range dialect.Members(raw) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "text", "refusal":
			text = dialect.InsideOf(value)
		case "detail":
			part.Detail, _ = dialect.Text(value)
		case "filename":
			part.Title, _ = dialect.Text(value)
		case "image_url", "file_url":
			if in := dialect.InsideOf(value); in != nil {
				part.Source = openai.Addressed(in)
			}
		case "file_data":
			if in := dialect.InsideOf(value); in != nil {
				part.Source = fileData(in)
			}
		case "file_id":
			if in := dialect.InsideOf(value); in != nil {
				part.Source, part.Signer = dialect.Source{Kind: dialect.SourceID, Data: in}, dialect.OpenAI
			}
		case "input_audio":
			audio = decodeAudio(&part, value)
		}
	}
	switch kind {
	case "input_text", "output_text", "text", "summary_text":
		part = dialect.Part{Kind: dialect.PartText, Text: text}
	case "refusal":
		part = dialect.Part{Kind: dialect.PartRefusal, Text: text}
	case "input_image":
		part.Kind = dialect.PartImage
	case "input_file":
		part.Kind, part.Detail = dialect.PartFile, ""
	case "input_audio":
		part.Kind = dialect.PartAudio
		part.Source.Data = audio
	}
	if part.Text == nil && part.Source.Data == nil {
		return dialect.Part{}
	}
	return part
}

func decodeAudio(part *dialect.Part, value []byte) (data dialect.Inside) {
	part.Source.Kind = dialect.SourceInline
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "data":
			data = dialect.InsideOf(value)
		case "format":
			format, _ := dialect.Text(value)
			part.Source.MediaType = "audio/" + format
		}
	}
	return data
}

// fileData reads a file's content: a data URL, or bare base64, which OpenAI takes for a PDF.
func fileData(in dialect.Inside) dialect.Source {
	source := openai.Addressed(in)
	if source.Kind == dialect.SourceURL && !bytes.Contains(in, []byte(":")) {
		return dialect.Source{Kind: dialect.SourceInline, MediaType: "application/pdf", Data: in}
	}
	return source
}
