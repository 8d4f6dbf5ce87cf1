package gemini

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestStreamsOfManyKinds(t *testing.T) {
	bad := "data: {\"candidates\":\n\n"
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, tt := range []struct {
		name, sent, want string
		complete         bool
	}{
		{"whole", po + ng, po + ng, true},
		{"one event", ng, ng, true},
		{"CRLF", crlf(po + ng), crlf(po + ng), true},
		{"comments", ": x\n\n" + po + ": x\n\n" + ng + ": x\n\n", po + ng, true},
		{"usage behind the end", po + ng + usage, po + ng + usage, true},
		{"usage alone in front", usage + po + ng, usage + po + ng, true},
		{"one malformed event", po + bad + ng, po + ng, true},
		{"a malformed event behind the end", po + ng + bad, po + ng, true},
		{"no blank line behind the end", po + strings.TrimSpace(ng), po + ng, true},
		{"a blocked prompt", blocked, blocked, true},
		{"two candidates", po + second + ng + closing, po + second + ng + closing, true},
		{"a candidate behind the other's end", po + ng + second + closing, po + ng + second + closing, true},
		{"a candidate without its end", po + ng + second, po + ng + second, false},
		{"no end", po, po, false},
		{"cut in an event", po + ng[:30], po, false},
		{"cut behind an end", po + ng + usage[:30], po + ng, true},
		{"error in the middle", po + failing, po, false},
		{"error behind the end", po + ng + failing, po + ng, false},
		{"no answer", usage, usage, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", tt.sent)), nil)
			text, complete, s := readStream(t, p)
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

func TestAConnectionThatBreaksBehindTheAnswersEndHasLostNothing(t *testing.T) {
	for sent, want := range map[string]bool{po + ng: true, po: false} {
		p := newProvider(t, providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			providertest.Says(200, "text/event-stream", sent)(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), nil)
		if text, complete, s := readStream(t, p); text != sent || complete != want || (s.Err() == nil) != want {
			t.Errorf("the client gets %q, complete %t, and the error is %v", text, complete, s.Err())
		}
	}
}

func TestAStreamThatFailsBeforeItsFirstEventMayBeTriedAgain(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":              "",
		"comments alone":       ": x\n\n",
		"an error":             failing,
		"an error in an array": event("[" + refusal + "]"),
		"half an event":        po[:30],
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", sent)), nil)
			if e := providertest.Failure(t, p, ask(true)); !e.Retryable {
				t.Errorf("the error is %v", e)
			}
		})
	}
}
