package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// decodeCitations reads the citations of a text.
func decodeCitations(value []byte) []dialect.Citation {
	var citations []dialect.Citation
	for raw := range dialect.Elements(value) {
		citations = append(citations, decodeCitation(raw))
	}
	return citations
}

func decodeCitation(raw []byte) dialect.Citation {
	c := dialect.Citation{Dialect: dialect.Anthropic, Raw: raw}
	for name, value := range dialect.Members(raw) {
		switch string(name) {
		case "url":
			c.URL, _ = dialect.Text(value)
		case "title", "document_title":
			c.Title, _ = dialect.Text(value)
		case "cited_text":
			c.Quote = dialect.InsideOf(value)
		}
	}
	return c
}

// appendCitation appends a citation: as it was, where it is Anthropic's own, else as one of a page of the web,
// which is all that other dialects cite.
func appendCitation(dst []byte, c *dialect.Citation) []byte {
	if c.Dialect == dialect.Anthropic {
		return append(dst, c.Raw...)
	}
	dst = append(dst, `{"type":"web_search_result_location"`...)
	dst = dialect.String(dialect.Member(dst, "url"), c.URL)
	dst = dialect.String(dialect.Member(dst, "title"), c.Title)
	dst = c.Quote.Quote(dialect.Member(dst, "cited_text"))
	return append(dst, `,"encrypted_index":""}`...)
}

// appendCitations appends the member citations, where a text has any.
func appendCitations(dst []byte, citations []dialect.Citation) []byte {
	if len(citations) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "citations"), '[')
	for i := range citations {
		dst = appendCitation(dialect.Element(dst), &citations[i])
	}
	return append(dst, ']')
}
