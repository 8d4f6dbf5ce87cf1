package openai

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// FormType is the type of a body that is a form.
const FormType = "multipart/form-data"

// Form is what the gateway needs to know of a multipart form.
type Form struct {
	Model  string
	Stream bool
	// Text counts the bytes of the prompt, Media those of all files.
	Text, Media int64

	from, to int // where the model stands in the body; zero where it does not
}

const (
	// maxParts bounds the parts of a form, as net/http does.
	maxParts = 1000
	// maxPartHeader bounds the header of one part, in bytes.
	maxPartHeader = 16 << 10
)

// PeekForm reads a form. It takes what RFC 7578 has and nothing beside it, so that no provider can read another model in it than the
// gateway did: every line that begins with the boundary ends a part, line ends are CRLF, and no field that the gateway reads comes
// twice.
func PeekForm(contentType string, body []byte) (Form, *dialect.Error) {
	var form Form
	parts, ok := partsOf(contentType, body)
	if !ok {
		return form, errForm
	}
	var model, stream bool
	for parts.next() {
		value := body[parts.from:parts.to]
		plain := !parts.file && !parts.encoded
		switch {
		case parts.name != "model" && strings.EqualFold(parts.name, "model"):
			return form, dialect.Mistyped("model", "written in lower case")
		case parts.name == "model":
			if model || !plain || !utf8.Valid(value) {
				return form, dialect.Mistyped("model", "one plain field of the form")
			}
			model = true
			form.Model, form.from, form.to = string(value), parts.from, parts.to
		case parts.name == "stream":
			if stream || !plain {
				return form, dialect.Mistyped("stream", "one plain field of the form")
			}
			stream = true
			form.Stream = strings.EqualFold(string(value), "true") || string(value) == "1"
		case parts.file:
			form.Media += int64(len(value))
		case parts.name == "prompt":
			form.Text += int64(len(value))
		}
	}
	if !parts.over {
		return form, errForm
	}
	return form, nil
}

// SetFormModel appends a form to dst in which another model stands in the place of its own. A form that names none stays as it is.
func SetFormModel(dst []byte, contentType string, body []byte, model string) ([]byte, *dialect.Error) {
	form, err := PeekForm(contentType, body)
	if err != nil || form.to == 0 {
		return append(dst, body...), err
	}
	dst = append(append(dst, body[:form.from]...), model...)
	return append(dst, body[form.to:]...), nil
}

// FormTokens guesses how many tokens a form's prompt and files are, for reservations only. A second of compressed speech is about
// sixteen tokens, and as many KiB.
func FormTokens(form Form) int64 { return form.Text/4 + form.Media/1024 }

var errForm = &dialect.Error{Kind: dialect.InvalidRequest, Message: "the body is not a well-formed multipart form; send it as multipart/form-data, with the boundary that its Content-Type names"}

// extendedName is a name in the form of RFC 2231, which some readers take and others do not.
var extendedName = regexp.MustCompile(`(?i);\s*name\s*\*`)

// formParts walks over the parts of a form.
type formParts struct {
	body      []byte
	delimiter []byte // two dashes and the boundary
	at        int    // after the last delimiter
	parts     int
	over      bool // the last delimiter was met

	name     string
	file     bool // the part has a file's name
	encoded  bool // it is in an encoding of its own
	from, to int  // where its value stands
}

func partsOf(contentType string, body []byte) (formParts, bool) {
	typ, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || typ != FormType || boundary == "" || len(boundary) > 70 || strings.Contains(contentType, "*") { // boundary* is another one, for some
		return formParts{}, false
	}
	p := formParts{body: body, delimiter: []byte("--" + boundary)}
	if !bytes.HasPrefix(body, p.delimiter) {
		return p, false
	}
	return p, p.delimited(0)
}

// delimited reads the end of a delimiter's line.
func (p *formParts) delimited(start int) bool {
	p.at = start + len(p.delimiter)
	switch rest := p.body[p.at:]; {
	case string(rest) == "--", string(rest) == "--\r\n": // no client writes anything behind its form, and readers differ on what they make of it
		p.over = true
	case bytes.HasPrefix(rest, []byte("\r\n")):
		p.at += 2
	default:
		return false
	}
	return true
}

// next reads the next part. Where there is none, over says whether the form has come to its end.
func (p *formParts) next() bool {
	if p.over || p.parts == maxParts || !p.header() {
		return false
	}
	p.parts++
	for search := p.from; ; {
		i := bytes.Index(p.body[search:], p.delimiter)
		if i < 0 {
			return false
		}
		start := search + i
		search = start + 1
		switch p.body[start-1] {
		case '\n':
			if start-2 < p.from || p.body[start-2] != '\r' {
				return false
			}
			p.to = start - 2
			return p.delimited(start)
		case '\r':
			return false
		}
	}
}

// header reads the header of a part.
func (p *formParts) header() bool {
	p.name, p.file, p.encoded = "", false, false
	rest := p.body[p.at:]
	length := bytes.Index(rest[:min(len(rest), maxPartHeader)], []byte("\r\n\r\n"))
	if length < 0 {
		return false
	}
	p.from = p.at + length + len("\r\n\r\n")
	disposed := false
	for line := range bytes.SplitSeq(rest[:length], []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || bytes.HasPrefix(line, p.delimiter) || bytes.ContainsFunc(line, unprintable) || !fieldName(name) {
			return false
		}
		switch strings.ToLower(string(name)) {
		case "content-disposition":
			kind, params, err := mime.ParseMediaType(string(value))
			if disposed || err != nil || kind != "form-data" || extendedName.Match(value) {
				return false
			}
			disposed = true
			p.name = params["name"]
			_, p.file = params["filename"]
		case "content-transfer-encoding":
			p.encoded = true
		}
	}
	return disposed
}

// unprintable says whether a header may not hold a character.
func unprintable(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// fieldName says whether a header's field may be called so, here.
func fieldName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(name) > 0
}
