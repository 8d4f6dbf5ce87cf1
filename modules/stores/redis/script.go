package redis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed scripts/window.lua
var windowSource string

//go:embed scripts/admit.lua
var admitSource string

//go:embed scripts/settle.lua
var settleSource string

//go:embed scripts/renew.lua
var renewSource string

//go:embed scripts/live.lua
var liveSource string

// The limiter's scripts. Each has the windows' own code before it, since Redis knows no libraries without functions, which some
// hosts of it lack.
var (
	admitScript  = newScript(windowSource + admitSource)
	settleScript = newScript(windowSource + settleSource)
	renewScript  = newScript(windowSource + renewSource)
)

// liveScript is the fleet's.
var liveScript = newScript(liveSource)

// script is a Lua text that answers with whole numbers.
type script struct{ text, digest string }

func newScript(text string) *script {
	digest := sha1.Sum([]byte(text))
	return &script{text: text, digest: hex.EncodeToString(digest[:])}
}

// invocation is one call of a script.
type invocation struct {
	*goredis.IntSliceCmd
	script *script
}

// NoRetry keeps the client from asking twice where the connection broke: the script may have run.
func (invocation) NoRetry() bool { return true }

// invocation makes a call. The first two of args are left for it; the number of keys follows, the keys and the rest.
func (s *script) invocation(ctx context.Context, args []any) invocation {
	args[0], args[1] = "evalsha", s.digest
	return invocation{goredis.NewIntSliceCmd(ctx, args...), s}
}

// withText is the same call for a server that has lost the script: after a restart, a failover or SCRIPT FLUSH. It loads it, too.
func (i invocation) withText(ctx context.Context) invocation {
	args := append([]any{"eval", i.script.text}, i.Args()[2:]...)
	return invocation{goredis.NewIntSliceCmd(ctx, args...), i.script}
}

// run makes all calls in one round trip, and a second where a server has lost the script. It returns the first error; each call
// has its own. A command that comes along, where there is one, has its own too, which is not returned. Batches may be nil; a call
// with a command along goes by itself, since that may bring an answer that is a thousand times as long as a decision. An error of a call
// that went along with another says nothing about Redis: the other one tells.
func run(ctx context.Context, rdb goredis.UniversalClient, batches *batcher, calls []invocation, along goredis.Cmder) error {
	commands := make([]goredis.Cmder, 0, len(calls)+1)
	for i := range calls {
		commands = append(commands, calls[i])
	}
	if along != nil {
		commands, batches = append(commands, along), nil
	}
	own := batches.send(ctx, rdb, commands...)
	var first error
	for i := range calls {
		if err := calls[i].Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			calls[i] = calls[i].withText(ctx)
			_ = rdb.Process(ctx, calls[i])
		}
		if err := calls[i].Err(); err != nil && first == nil {
			first = err
		}
	}
	if first != nil && !own {
		return fmt.Errorf("%w: %w", errSaysNothing, first)
	}
	return first
}
