package responses

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

const eventError = "error"

// AppendErrorEvent appends an error as an event, for a stream that cannot go on. It has no sequence_number: whoever
// ends a stream that another has written does not know it.
func AppendErrorEvent(dst []byte, e *dialect.Error) []byte {
	return end(appendFailure(append(dst, "event: error\ndata: {\"type\":\"error\""...), e))
}

// appendFailure appends an error's members. The API documents them at the top; the official clients raise an error
// where there is a member error, which holds them too.
func appendFailure(dst []byte, e *dialect.Error) []byte {
	body := openai.AppendError(nil, e)
	oneLine(body)
	for name, value := range dialect.Members(body) {
		if string(name) != "error" {
			continue
		}
		dst = append(append(dst, `,"error":`...), value...)
		for name, value := range dialect.Members(value) {
			switch string(name) {
			case "code", "message", "param":
				dst = append(dialect.Member(dst, string(name)), value...)
			}
		}
	}
	return dst
}
