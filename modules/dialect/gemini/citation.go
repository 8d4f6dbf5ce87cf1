package gemini

import (
	"strconv"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// citationsOf reads what a candidate rests on: passages that it recites, and pages that it was grounded in. Their
// Start and End are in bytes of the text, as Google counts.
func citationsOf(c wireCandidate) []dialect.Citation {
	var citations []dialect.Citation
	for name, value := range fields(c.citations) {
		if string(name) != "citationSources" && string(name) != "citations" {
			continue
		}
		for raw := range dialect.Elements(list(value)) {
			if one := pageOf(raw); one.URL != "" {
				citations = append(citations, one)
			}
		}
	}
	return append(citations, groundsOf(c.grounding)...)
}

// pageOf reads where a page is and, of a passage, where in the text.
func pageOf(raw []byte) dialect.Citation {
	one := dialect.Citation{Dialect: dialect.Gemini, Raw: raw}
	for name, value := range fields(raw) {
		switch string(name) {
		case "uri":
			one.URL, _ = dialect.Text(value)
		case "title":
			one.Title, _ = dialect.Text(value)
		case "startIndex":
			one.Start = position(value)
		case "endIndex":
			one.End = position(value)
		}
	}
	return one
}

func position(value []byte) int {
	n, ok := dialect.Raw(value).Number()
	if !ok || n < 0 || n > maxCap {
		return 0
	}
	return int(n)
}

// groundsOf reads a groundingMetadata: a citation for each support, or for each page where supports are not told.
func groundsOf(metadata []byte) []dialect.Citation {
	var pages, citations []dialect.Citation
	for name, value := range fields(metadata) {
		if string(name) != "groundingChunks" {
			continue
		}
		for chunk := range dialect.Elements(list(value)) {
			page := dialect.Citation{}
			for name, value := range fields(chunk) {
				if string(name) == "web" {
					page = pageOf(value)
				}
			}
			pages = append(pages, page)
		}
	}
	for name, value := range fields(metadata) {
		if string(name) != "groundingSupports" {
			continue
		}
		for support := range dialect.Elements(list(value)) {
			citations = supported(citations, pages, support)
		}
	}
	if len(citations) > 0 {
		return citations
	}
	for _, page := range pages {
		if page.URL != "" {
			citations = append(citations, page)
		}
	}
	return citations
}

// supported appends the pages that support some words.
func supported(citations, pages []dialect.Citation, support []byte) []dialect.Citation {
	var segment dialect.Citation
	var indices []byte
	for name, value := range fields(support) {
		switch string(name) {
		case "segment":
			segment = pageOf(value)
			for name, value := range fields(value) {
				if string(name) == "text" {
					segment.Quote = dialect.InsideOf(value)
				}
			}
		case "groundingChunkIndices":
			indices = value
		}
	}
	for element := range dialect.Elements(indices) {
		n, ok := dialect.Raw(element).Number()
		if !ok || n < 0 || n >= float64(len(pages)) || pages[int(n)].URL == "" {
			continue
		}
		one := pages[int(n)]
		one.Quote, one.Start, one.End = segment.Quote, segment.Start, segment.End
		citations = append(citations, one)
	}
	return citations
}

// cite gives citations to the last text, with their places in its characters.
func cite(parts []dialect.Part, citations []dialect.Citation) {
	if len(citations) == 0 {
		return
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].Kind != dialect.PartText {
			continue
		}
		text := parts[i].Text.String()
		for j := range citations {
			c := &citations[j]
			if c.Start >= c.End || c.End > len(text) {
				c.Start, c.End = 0, 0
				continue
			}
			if c.Quote == nil {
				c.Quote = dialect.Escape(text[c.Start:c.End])
			}
			c.Start, c.End = utf8.RuneCountInString(text[:c.Start]), utf8.RuneCountInString(text[:c.End])
		}
		parts[i].Citations = citations
		return
	}
}

// cited is a page that a part of the text rests on, from a byte to a byte.
type cited struct {
	url, title string
	start, end int
}

// appendGrounding appends the member groundingMetadata, where pages of the web are cited.
func appendGrounding(dst []byte, pages []cited) []byte {
	if len(pages) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "groundingMetadata"), `{"groundingChunks":[`...)
	for _, c := range pages {
		dst = dialect.TextMember(append(dialect.Element(dst), `{"web":{`...), "uri", c.url)
		dst = append(dialect.TextMember(dst, "title", c.title), "}}"...)
	}
	dst = append(dst, `],"groundingSupports":[`...)
	for i, c := range pages {
		dst = dialect.IntMember(append(dialect.Element(dst), `{"segment":{`...), "startIndex", int64(c.start))
		dst = append(dialect.IntMember(dst, "endIndex", int64(c.end)), `},"groundingChunkIndices":[`...)
		dst = append(strconv.AppendInt(dst, int64(i), 10), "]}"...)
	}
	return append(dst, "]}"...)
}

// appendCited appends the pages of the web that a text cites, which begins after so many bytes of others.
func appendCited(pages []cited, part *dialect.Part, before int) []cited {
	if len(part.Citations) == 0 {
		return pages
	}
	text := part.Text.String()
	for i := range part.Citations {
		c := &part.Citations[i]
		if c.URL == "" {
			continue
		}
		page := cited{c.URL, c.Title, before, before + len(text)}
		if c.End > 0 {
			page.start, page.end = before+offset(text, c.Start), before+offset(text, c.End)
		}
		pages = append(pages, page)
	}
	return pages
}

// offset is where a character begins, in bytes.
func offset(text string, character int) int {
	for i := range text {
		if character == 0 {
			return i
		}
		character--
	}
	return len(text)
}
