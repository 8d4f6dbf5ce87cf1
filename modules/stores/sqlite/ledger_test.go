package sqlite

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsALedger(t *testing.T) {
	storetest.Ledger(t, func(t *testing.T) gateway.Ledger { return newStore(t) })
}
