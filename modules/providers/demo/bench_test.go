package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// kilobyte is a request of about 1 kB.
var kilobyte = fmt.Sprintf(`{"model":"demo","temperature":0.1,"messages":[{"role":"system","content":"You are terse."},{"role":"user","content":%q}]}`,
	strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20))

func BenchmarkWholeAnswer(b *testing.B) {
	p := provision(b, new(Provider))
	attempt := ask(kilobyte, false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(b.Context(), attempt); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream sends 20 events: the role, 17 words, the finish and [DONE].
func BenchmarkStream(b *testing.B) {
	p := provision(b, &Provider{Words: 17})
	attempt := ask(kilobyte, true)
	b.ReportAllocs()
	for b.Loop() {
		reply, err := p.Send(b.Context(), attempt)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for reply.Stream.Next() {
			n++
		}
		if reply.Stream.Close(); n != 20 {
			b.Fatalf("the stream has %d events", n)
		}
	}
}

func BenchmarkInstance(b *testing.B) {
	p := provision(b, new(Provider))
	attempt := ask(fmt.Sprintf(withTools, userTurn, ""), false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(b.Context(), attempt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmbedding(b *testing.B) {
	p := provision(b, new(Provider))
	attempt := &gateway.Attempt{Operation: dialect.Embeddings, Model: embeddingModel, Body: []byte(`{"input":"one two three","encoding_format":"base64"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(b.Context(), attempt); err != nil {
			b.Fatal(err)
		}
	}
}
