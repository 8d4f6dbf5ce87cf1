package sqlite

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func BenchmarkKeyByHash(b *testing.B) {
	store := newStore(b)
	var known gateway.KeyHash
	for range 1000 {
		_, known = createKey(b, store)
	}
	now := time.Now()
	for name, test := range map[string]struct {
		hash gateway.KeyHash
		want error
	}{
		"known":   {known, nil},
		"unknown": {newHash(), gateway.ErrKeyNotFound},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.KeyByHash(b.Context(), test.hash, now); !errors.Is(err, test.want) {
					b.Fatal(err)
				}
			}
		})
	}
}
