package fleet

import (
	"context"
	"regexp"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/load"
)

// firstKey is how the gateway shows the key of its first start.
var firstKey = regexp.MustCompile(`gateway key +(sp_[0-9a-f]{64})`)

// GatewayStart measures how long a gateway takes from nothing to its first answer: the process, its database, its first key, and
// a call with it.
func (f *Fleet) GatewayStart(ctx context.Context, binary string, upstreamPort int, request func(address, key string) []byte) (time.Duration, error) {
	dir, err := f.Home()
	if err != nil {
		return 0, err
	}
	command, _, err := f.caddyCommand(ctx, dir, "the gateway", binary, gatewayCaddyfile, nil, "{{upstream}}", Local(upstreamPort), "{{store}}", "")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	p, err := f.launch(command)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	var key string
	err = p.await(ctx, func() bool {
		log, err := p.Log()
		if err != nil {
			return false
		}
		if shown := firstKey.FindStringSubmatch(log); shown != nil {
			key = shown[1]
		}
		return key != "" && Reachable(ctx, p.Port)
	})
	if err != nil {
		return 0, err
	}
	c, err := load.Dial(ctx, p.Address())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.Exchange(request(p.Address(), key)); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, p.holdsAlone(p.Port)
}
