package openai

import (
	"bytes"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// decodePart reads a part of a message's content. Its kind is zero where the neutral form has none for it.
func decodePart(raw []byte) dialect.Part {
	var part dialect.Part
	kind, value := "", []byte(nil)
	for name, v := range dialect.Members(raw) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(v)
		case "text", "image_url", "input_audio", "file", "refusal":
			value = v
		}
	}
	part.Cache = cacheOf(raw)
	switch kind {
	case "text":
		part.Kind, part.Text = dialect.PartText, dialect.InsideOf(value)
	case "refusal":
		part.Kind, part.Text = dialect.PartRefusal, dialect.InsideOf(value)
	case "image_url":
		part.Kind = dialect.PartImage
		part.Source = Addressed(dialect.InsideOf(value))
		for name, v := range dialect.Members(value) {
			switch string(name) {
			case "url":
				part.Source = Addressed(dialect.InsideOf(v))
			case "detail":
				part.Detail, _ = dialect.Text(v)
			}
		}
	case "input_audio":
		part.Kind = dialect.PartAudio
		part.Source.Kind = dialect.SourceInline
		for name, v := range dialect.Members(value) {
			switch string(name) {
			case "data":
				part.Source.Data = dialect.InsideOf(v)
			case "format":
				format, _ := dialect.Text(v)
				part.Source.MediaType = "audio/" + format
			}
		}
	case "file":
		part.Kind = dialect.PartFile
		decodeFile(&part, value)
	}
	if part.Kind != 0 && part.Text == nil && part.Source.Data == nil {
		return dialect.Part{}
	}
	return part
}

func decodeFile(part *dialect.Part, file []byte) {
	for name, v := range dialect.Members(file) {
		switch string(name) {
		case "filename":
			part.Title, _ = dialect.Text(v)
		case "file_id":
			if in := dialect.InsideOf(v); in != nil {
				part.Source, part.Signer = dialect.Source{Kind: dialect.SourceID, Data: in}, dialect.OpenAI
			}
		case "file_data":
			in := dialect.InsideOf(v)
			if in == nil {
				continue
			}
			part.Source = Addressed(in)
			if part.Source.Kind == dialect.SourceURL && !bytes.Contains(in, []byte(":")) {
				// Bare base64, which OpenAI takes for a PDF.
				part.Source = dialect.Source{Kind: dialect.SourceInline, MediaType: "application/pdf", Data: in}
			}
		}
	}
}

// Addressed reads an address: a data URL in base64 becomes its content.
func Addressed(url dialect.Inside) dialect.Source {
	head, data, isData := bytes.Cut(url, []byte(","))
	if isData && len(head) < 256 && bytes.HasPrefix(head, []byte("data:")) {
		media, encoded := strings.CutSuffix(dialect.Inside(head).String()[len("data:"):], ";base64")
		if encoded {
			return dialect.Source{Kind: dialect.SourceInline, MediaType: media, Data: data}
		}
	}
	return dialect.Source{Kind: dialect.SourceURL, Data: url}
}

// cacheOf reads the mark for the prompt cache: OpenAI's own, or that of gateways who took over Anthropic's.
func cacheOf(part []byte) dialect.Cache {
	for name, mark := range dialect.Members(part) {
		if n := string(name); n != "cache_control" && n != "prompt_cache_breakpoint" || mark[0] != '{' {
			continue
		}
		for name, value := range dialect.Members(mark) {
			if string(name) == "ttl" {
				if ttl, ok := dialect.Text(value); ok {
					return dialect.Cache(ttl)
				}
			}
		}
		return dialect.CacheDefault
	}
	return ""
}
