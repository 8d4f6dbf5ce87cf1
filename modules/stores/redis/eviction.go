package redis

import (
	"context"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// checkEviction warns of a Redis that makes room by dropping keys, since a limit whose window was dropped begins anew, and nobody is
// told. It is done once Redis has said how it is set up, or that it does not tell this user.
func (c *Client) checkEviction(ctx context.Context) (done bool) {
	var evicting []zap.Field
	err := c.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) error {
		var mu sync.Mutex
		return eachMaster(ctx, rdb, func(ctx context.Context, server *goredis.Client) error {
			text, err := server.Info(ctx, "memory").Result()
			if refused(err) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if policy, bound := evictionPolicy(text); bound && policy != "noeviction" {
				evicting = []zap.Field{zap.String("address", c.where), zap.String("maxmemory_policy", policy)}
			}
			return err
		})
	})
	if err == nil && evicting != nil {
		c.log.Warn("redis drops keys when its memory is full, and limits would begin anew without a word; "+
			"set its maxmemory-policy to noeviction, and give it enough maxmemory", evicting...)
	}
	return err == nil
}

// evictionPolicy reads what INFO memory says of a full memory, and whether there is a bound at which it is full.
func evictionPolicy(info string) (policy string, bound bool) {
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "maxmemory":
			bound = value != "0"
		case "maxmemory_policy":
			policy = value
		}
	}
	return policy, bound && policy != ""
}
