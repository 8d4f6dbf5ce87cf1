package sqlite

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func BenchmarkKeyByHash(b *testing.B) {
	storetest.BenchmarkKeyByHash(b, newStore(b))
}

func BenchmarkAddUsage(b *testing.B) {
	storetest.BenchmarkAddUsage(b, func(b *testing.B) gateway.Ledger { return newStore(b) })
}

func BenchmarkAddCalls(b *testing.B) {
	storetest.BenchmarkAddCalls(b, func(b *testing.B) gateway.Ledger { return newStore(b) })
}
