package demo

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestFailuresComeEveryNthCallAndTheFirstDueWins(t *testing.T) {
	p := provision(t, &Provider{Failures: []Failure{{Kind: "503", Every: 3}, {Kind: "429", Every: 2}}})
	want := []int{0, 429, 503, 429, 0, 503}
	for i, status := range want {
		_, err := p.Send(t.Context(), ask(hello, i%2 == 0))
		var e *dialect.Error
		if errors.As(err, &e) != (status != 0) || e != nil && e.HTTPStatus() != status {
			t.Errorf("call %d: the error is %v, want status %d", i+1, err, status)
		}
	}
}

func TestStatusFailuresTellWhetherToTryAgain(t *testing.T) {
	for _, tt := range []struct {
		kind      string
		want      dialect.Kind
		status    int
		retryable bool
		after     time.Duration
	}{
		{"400", dialect.InvalidRequest, 400, false, 0},
		{"401", dialect.UpstreamAuth, http.StatusBadGateway, true, 0},
		{"403", dialect.UpstreamAuth, http.StatusBadGateway, true, 0},
		{"404", dialect.ModelNotFound, 404, false, 0},
		{"408", dialect.Timeout, 408, true, 0},
		{"413", dialect.TooLarge, 413, false, 0},
		{"422", dialect.InvalidRequest, 422, false, 0},
		{"429", dialect.RateLimit, 429, true, time.Second},
		{"500", dialect.UpstreamFailed, 500, true, 0},
		{"503", dialect.Unavailable, 503, true, 0},
		{"529", dialect.UpstreamFailed, 529, true, 0},
	} {
		p := provision(t, &Provider{Failures: []Failure{{Kind: tt.kind}}})
		_, err := p.Send(t.Context(), ask(hello, false))
		var e *dialect.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: the error is %v", tt.kind, err)
		}
		if e.Kind != tt.want || e.HTTPStatus() != tt.status || e.Retryable != tt.retryable || e.RetryAfter != tt.after {
			t.Errorf("%s: got %+v", tt.kind, e)
		}
		if e.Kind != dialect.UpstreamAuth && !gjson.GetBytes(e.Body, "error.message").Exists() {
			t.Errorf("%s: the body is %q, want OpenAI's error", tt.kind, e.Body)
		}
	}
}

func TestDisconnectCutsTheAnswerInTheMiddle(t *testing.T) {
	p := provision(t, &Provider{Failures: []Failure{{Kind: "disconnect"}}})
	_, err := p.Send(t.Context(), ask(hello, false))
	var e *dialect.Error
	if !errors.As(err, &e) || e.Kind != dialect.UpstreamFailed || !e.Retryable {
		t.Errorf("whole: the error is %v, want a retryable one", err)
	}

	reply, err := p.Send(t.Context(), ask(hello, true))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for reply.Stream.Next() {
		text += gjson.GetBytes(reply.Stream.Data(), "choices.0.delta.content").Str
		if reply.Stream.Last() {
			t.Error("the stream is complete")
		}
	}
	whole := answer(t, provision(t, new(Provider)), hello).Get("choices.0.message.content").Str
	if text == "" || len(text) >= len(whole) || !strings.HasPrefix(whole, text) {
		t.Errorf("the stream says %q, want the beginning of %q", text, whole)
	}
	if !errors.As(reply.Stream.Err(), &e) || e.Retryable {
		t.Errorf("streamed: the error is %v, want one that is not retryable", reply.Stream.Err())
	}
	if u := reply.Stream.Usage(); u.Output != countTokens(text) {
		t.Errorf("usage is %+v, want %d output tokens", u, countTokens(text))
	}
}

func TestMalformedAnswersAreNoJSON(t *testing.T) {
	p := provision(t, &Provider{Failures: []Failure{{Kind: "malformed"}}})
	reply, err := p.Send(t.Context(), ask(hello, false))
	if err != nil {
		t.Fatal(err)
	}
	if len(reply.Body) == 0 || gjson.ValidBytes(reply.Body) {
		t.Errorf("the answer is %q, want broken JSON", reply.Body)
	}

	reply, err = p.Send(t.Context(), ask(hello, true))
	if err != nil {
		t.Fatal(err)
	}
	broken, after := 0, 0
	for reply.Stream.Next() {
		if broken > 0 {
			after++
		}
		if !gjson.ValidBytes(reply.Stream.Data()) {
			broken++
		}
	}
	if broken != 1 || after != 0 || reply.Stream.Err() == nil {
		t.Errorf("%d broken events, %d after them, error %v; want one, none, and an error", broken, after, reply.Stream.Err())
	}
}

func TestStallWaitsForTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provision(t, &Provider{Failures: []Failure{{Kind: "stall"}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if _, err := p.Send(ctx, ask(hello, true)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v, want the context's", err)
		}
		if waited := time.Since(start); waited != time.Hour {
			t.Errorf("waited %s, want an hour", waited)
		}
	})
}
