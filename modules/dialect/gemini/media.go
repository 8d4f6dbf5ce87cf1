package gemini

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// source is an inlineData or a fileData.
type source struct {
	media, title string
	content      dialect.Inside
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
