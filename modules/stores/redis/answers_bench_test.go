package redis

import (
	"bytes"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

func BenchmarkAnswer(b *testing.B) {
	server := redistest.Start(b)
	store := openCache(b, server.URL())
	withFirstLevel(b, store)
	body := bytes.Repeat([]byte(`{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"A cat sat."}}]},`), 40)
	key, answer := gateway.AnswerKey{1}, anAnswer(string(body))
	putAnswer(b, store, key, answer)
	b.Run("first level", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := store.Answer(b.Context(), key); got == nil || err != nil {
				b.Fatalf("found %v, error %v", got, err)
			}
		}
	})
	b.Run("redis", func(b *testing.B) {
		far := openCache(b, server.URL(), func(a *Answers) { a.first = nil })
		b.ReportAllocs()
		for b.Loop() {
			if got, err := far.Answer(b.Context(), key); got == nil || err != nil {
				b.Fatalf("found %v, error %v", got, err)
			}
		}
	})
	b.Run("redis parallel", func(b *testing.B) {
		far := openCache(b, server.URL(), func(a *Answers) { a.first = nil })
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if got, err := far.Answer(b.Context(), key); got == nil || err != nil {
					b.Errorf("found %v, error %v", got, err)
				}
			}
		})
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := store.Answer(b.Context(), gateway.AnswerKey{2}); got != nil || err != nil {
				b.Fatalf("found %v, error %v", got, err)
			}
		}
	})
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := store.PutAnswer(b.Context(), gateway.AnswerKey{3}, answer); err != nil {
				b.Fatal(err)
			}
		}
	})
}
