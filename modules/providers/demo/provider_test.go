package demo

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// provision makes a config ready, as Caddy would, with a clock that stands still.
func provision(t testing.TB, p *Provider) *Provider {
	t.Helper()
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return time.Unix(1_750_000_000, 0) }
	return p
}

func ask(body string, stream bool) *gateway.Attempt {
	return &gateway.Attempt{Operation: dialect.Chat, Model: chatModel, Body: []byte(body), Stream: stream}
}

// answer sends a chat request and returns the whole answer.
func answer(t *testing.T, p *Provider, body string) gjson.Result {
	t.Helper()
	reply, err := p.Send(t.Context(), ask(body, false))
	if err != nil {
		t.Fatalf("sending %s: %v", body, err)
	}
	if !gjson.ValidBytes(reply.Body) {
		t.Fatalf("the answer is no JSON: %s", reply.Body)
	}
	return gjson.ParseBytes(reply.Body)
}

// kindOf is the kind of an error, and the field at fault.
func kindOf(t *testing.T, err error) (dialect.Kind, string) {
	t.Helper()
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, want a *dialect.Error", err)
	}
	return e.Kind, e.Field
}

const hello = `{"model":"demo","messages":[{"role":"user","content":"Hello there"}]}`

func TestProviderBehavesAsEveryProviderMust(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Setup {
		return providertest.Setup{
			Provider:      provision(t, new(Provider)),
			Stalled:       provision(t, &Provider{Delay: caddy.Duration(time.Hour)}),
			Paused:        provision(t, &Provider{Pace: caddy.Duration(time.Hour)}),
			Embeddings:    embeddingModel,
			Deterministic: true,
		}
	})
}

func TestDelayComesBeforeTheAnswerAndPaceBetweenEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provision(t, &Provider{Delay: caddy.Duration(300 * time.Millisecond), Pace: caddy.Duration(20 * time.Millisecond)})
		start := time.Now()
		reply, err := p.Send(t.Context(), ask(hello, true))
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 300*time.Millisecond {
			t.Errorf("Send took %s, want the delay", waited)
		}
		events := 0
		for reply.Stream.Next() {
			events++
		}
		want := 300*time.Millisecond + time.Duration(events-1)*20*time.Millisecond
		if waited := time.Since(start); waited != want {
			t.Errorf("%d events took %s, want %s", events, waited, want)
		}

		start = time.Now()
		answer(t, p, hello)
		if waited := time.Since(start); waited != 300*time.Millisecond {
			t.Errorf("a whole answer took %s, want the delay", waited)
		}
	})
}

func TestCloseEndsAWaitingNextAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provision(t, &Provider{Pace: caddy.Duration(time.Hour)})
		reply, err := p.Send(t.Context(), ask(hello, true))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		reply.Stream.Next()
		done := make(chan bool)
		go func() { done <- reply.Stream.Next() }()
		synctest.Wait()
		for range 2 {
			if err := reply.Stream.Close(); err != nil {
				t.Error(err)
			}
		}
		if <-done {
			t.Error("an event came from a closed stream")
		}
		if reply.Stream.Next() || reply.Stream.Err() == nil {
			t.Errorf("a closed stream goes on, with error %v", reply.Stream.Err())
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("closing took %s", waited)
		}
	})
}

func TestInterruptedStreamCountsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Millisecond)
		defer cancel()
		p := provision(t, &Provider{Pace: caddy.Duration(20 * time.Millisecond)})
		reply, err := p.Send(ctx, ask(hello, true))
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for reply.Stream.Next() {
			text += gjson.GetBytes(reply.Stream.Data(), "choices.0.delta.content").Str
		}
		if text != `[demo] You said: "Hello` {
			t.Errorf("four pieces in 90 ms are %q", text)
		}
		if kind, _ := kindOf(t, reply.Stream.Err()); kind != dialect.Timeout || !errors.Is(reply.Stream.Err(), context.DeadlineExceeded) {
			t.Errorf("the error is %v, want a timeout", reply.Stream.Err())
		}
		if u := reply.Stream.Usage(); u.Output != countTokens(text) || u.Input != 4 {
			t.Errorf("usage is %+v, want %d tokens for %q", u, countTokens(text), text)
		}
	})
}

func TestSendRefusesWhatModelsCannotDo(t *testing.T) {
	p := provision(t, new(Provider))
	for _, tt := range []struct {
		operation dialect.Operation
		model     string
		kind      dialect.Kind
		field     string
	}{
		{dialect.Chat, "gpt-5", dialect.ModelNotFound, "model"},
		{dialect.Chat, "", dialect.ModelNotFound, "model"},
		{dialect.Chat, embeddingModel, dialect.InvalidRequest, "model"},
		{dialect.Embeddings, chatModel, dialect.InvalidRequest, "model"},
		{dialect.Embeddings, "ada", dialect.ModelNotFound, "model"},
		{"images", chatModel, dialect.InvalidRequest, ""},
	} {
		_, err := p.Send(t.Context(), &gateway.Attempt{Operation: tt.operation, Model: tt.model, Body: []byte(hello)})
		if kind, field := kindOf(t, err); kind != tt.kind || field != tt.field {
			t.Errorf("%s with %q: got %s at %q, want %s at %q", tt.operation, tt.model, kind, field, tt.kind, tt.field)
		}
	}
}

func TestConfigKeepsItsJSONForm(t *testing.T) {
	const config = `{"delay":300000000,"pace":20000000,"words":9,"failures":[{"kind":"503","every":3},{"kind":"stall"}]}`
	var p Provider
	if err := json.Unmarshal([]byte(config), &p); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(&p)
	if err != nil || string(out) != config {
		t.Errorf("got %s, %v, want %s", out, err, config)
	}
}

func TestValidateRefusesImpossibleConfigs(t *testing.T) {
	for _, p := range []*Provider{
		{Delay: -1},
		{Pace: -1},
		{Words: -1},
		{Failures: []Failure{{Kind: "200"}}},
		{Failures: []Failure{{Kind: "explode"}}},
		{Failures: []Failure{{Kind: "stall", Every: -2}}},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%+v is taken as valid", p.Failures)
		}
	}
}
