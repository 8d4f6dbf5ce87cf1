package postgres

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsAFileStore(t *testing.T) {
	storetest.Files(t, func(t *testing.T) gateway.FileStore { return newStore(t) })
}
