package responses

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// echoed are the members of a request that its answer repeats, and what an answer says where the request has none.
// That nothing was stored is so whatever the client asked for.
var echoed = [...]struct{ name, otherwise string }{
	{"instructions", "null"},
	{"max_output_tokens", "null"},
	{"max_tool_calls", "null"},
	{"metadata", "{}"},
	{"parallel_tool_calls", "true"},
	{"prompt_cache_key", "null"},
	{"reasoning", `{"effort":null,"summary":null}`},
	{"safety_identifier", "null"},
	{"temperature", "null"},
	{"text", `{"format":{"type":"text"}}`},
	{"tool_choice", `"auto"`},
	{"tools", "[]"},
	{"top_logprobs", "null"},
	{"top_p", "null"},
	{"truncation", `"disabled"`},
	{"user", "null"},
}

// Repeats tells whether an answer repeats a member of its request, so that it is not the answer to a request that
// differs there.
func Repeats(member string) bool {
	return slices.ContainsFunc(echoed[:], func(e struct{ name, otherwise string }) bool { return e.name == member })
}

// appendEcho appends what an answer repeats of its request, which may be unknown.
func appendEcho(dst []byte, request dialect.Raw) []byte {
	var values [len(echoed)]dialect.Raw
	for name, value := range dialect.Members(request) {
		for i := range echoed {
			if echoed[i].name == string(name) {
				values[i] = value
			}
		}
	}
	begin := len(dst)
	for i, value := range values {
		if value.Null() {
			value = dialect.Raw(echoed[i].otherwise)
		}
		dst = append(dialect.Member(dst, echoed[i].name), value...)
	}
	oneLine(dst[begin:])
	return append(dst, `,"background":false,"previous_response_id":null,"store":false`...)
}

// oneLine replaces line endings, which are white space in valid JSON and would end an event's line.
func oneLine(text []byte) {
	for i, c := range text {
		if c == '\n' || c == '\r' {
			text[i] = ' '
		}
	}
}
