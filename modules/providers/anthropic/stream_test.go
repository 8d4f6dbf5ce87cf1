package anthropic

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestStreamsOfManyKinds(t *testing.T) {
	whole := begin + ping + opening + pong + ping + closing + delta + stop
	bad := "event: content_block_delta\ndata: {\"type\":\n\n"
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, tt := range []struct {
		name, sent, want string
		complete         bool
	}{
		{"whole, with its pings", whole, whole, true},
		{"CRLF", crlf(whole), crlf(whole), true},
		{"pings before the message", ping + ping + whole, whole, true},
		{"comments", ": x\n\n" + begin + ": x\n\n" + delta + stop, begin + delta + stop, true},
		{"one malformed event", begin + bad + delta + stop, begin + delta + stop, true},
		{"more behind the end", begin + delta + stop + pong, begin + delta + stop, true},
		{"no blank line behind the end", begin + delta + strings.TrimSpace(stop), begin + delta + stop, true},
		{"no end", begin + opening, begin + opening, false},
		{"cut in an event", begin + opening[:30], begin, false},
		{"error in the middle", begin + opening + overloaded, begin + opening, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", tt.sent)), nil)
			reply, err := p.Send(t.Context(), ask(true))
			if err != nil {
				t.Fatal(err)
			}
			s := reply.Stream
			defer s.Close()
			text, complete := "", false
			for s.Next() {
				text += string(s.Event())
				complete = s.Last()
			}
			if text != tt.want || complete != tt.complete {
				t.Errorf("the client gets %q, complete %t, want %q", text, complete, tt.want)
			}
			var e *dialect.Error
			if complete != (s.Err() == nil) || !complete && (!errors.As(s.Err(), &e) || e.Retryable) {
				t.Errorf("complete %t, but the error is %v", complete, s.Err())
			}
		})
	}
}

func TestAStreamThatFailsBeforeTheMessageMayBeTriedAgain(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":                "",
		"pings alone":            ping + ping,
		"an error":               overloaded,
		"an error behind a ping": ping + overloaded,
		"half an event":          begin[:30],
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", sent)), nil)
			if e := providertest.Failure(t, p, ask(true)); !e.Retryable {
				t.Errorf("the error is %v", e)
			}
		})
	}
}
