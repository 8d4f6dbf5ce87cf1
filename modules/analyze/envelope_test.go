package analyze

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestTheEnvelopeIsTheContracts(t *testing.T) {
	began := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	now := began.Add(1234567 * time.Microsecond).In(time.FixedZone("", 3600))
	answer := &gateway.Answer{
		Provider: "openai", Model: "gpt-5",
		Body:  appendAnswer(nil, []byte(`{"a":["}",1]}`), "```\n{\"a\": 1}\n```"),
		Usage: dialect.Usage{Input: 100, CacheRead: 20, Output: 30, Reasoning: 5},
	}
	const fresh = `{"request_id":"id-1","data":{"a":["}",1]},"llm_provider":"openai","model_name":"gpt-5","tokens_used":155,` +
		`"latency_ms":1234,"cached":false,"validated":true,"timestamp":"2026-03-01T11:00:01Z"}`
	const kept = `{"request_id":"id-1","data":{"a":["}",1]},"llm_provider":"openai","model_name":"gpt-5","tokens_used":0,` +
		`"latency_ms":1234,"cached":true,"validated":true,"timestamp":"2026-03-01T11:00:01Z"}`
	const raw = `{"request_id":"id-1","data":{"a":["}",1]},"llm_provider":"openai","model_name":"gpt-5","tokens_used":155,` +
		`"latency_ms":1234,"cached":false,"validated":true,"raw_output":"` + "```" + `\n{\"a\": 1}\n` + "```" + `","timestamp":"2026-03-01T11:00:01Z"}`
	tests := []struct {
		name    string
		cache   gateway.CacheResult
		withRaw bool
		want    string
	}{
		{"no cache", gateway.CacheNone, false, fresh},
		{"a miss", gateway.CacheMiss, false, fresh},
		{"bypassed", gateway.CacheBypass, false, fresh},
		{"a hit", gateway.CacheHit, false, kept},
		{"shared with another call", gateway.CacheCollapsed, false, kept},
		{"with the model's text", gateway.CacheMiss, true, raw},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &analysis{call: &gateway.Call{ID: "id-1", Started: began, Cache: test.cache}, withRaw: test.withRaw}
			parts, err := openAnswer(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := string(a.appendEnvelope(nil, parts, answer, now))
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("it is not JSON")
			}
		})
	}
}

func TestAnAnswerOfAnotherSurfaceIsNotDelivered(t *testing.T) {
	w := httptest.NewRecorder()
	a := &analysis{call: &gateway.Call{}}
	for _, body := range []string{``, `{}`, `[]`, `{"data":{},"raw":""}`, `{"choices":[]}`} {
		if err := a.deliver(w, &gateway.Answer{Body: []byte(body)}); err == nil {
			t.Errorf("%s was delivered", body)
		}
	}
	if w.Body.Len() > 0 {
		t.Errorf("%s was written", w.Body)
	}
}

// sink is a response writer that costs nothing.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

func BenchmarkDeliver(b *testing.B) {
	a := &analysis{call: &gateway.Call{ID: "3f0c1de2-6a32-4a8b-9d3e-0c5d6f7a8b9c", Started: time.Now(), Cache: gateway.CacheHit}}
	answer := &gateway.Answer{Provider: "demo", Model: "demo", Body: appendAnswer(nil, []byte(goodData), goodData)}
	w := sink{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.deliver(w, answer); err != nil {
			b.Fatal(err)
		}
	}
}
