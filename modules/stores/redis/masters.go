package redis

import (
	"context"
	"fmt"
	"net"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// eachMaster asks every node that keeps data, all at once.
func eachMaster(ctx context.Context, rdb goredis.UniversalClient, ask func(context.Context, *goredis.Client) error) error {
	switch rdb := rdb.(type) {
	case *goredis.ClusterClient:
		return rdb.ForEachMaster(ctx, ask)
	case *goredis.Client:
		return ask(ctx, rdb)
	}
	return fmt.Errorf("%T has no masters", rdb)
}

// mastersChange tells whether there may be others later.
func (c *Client) mastersChange() bool {
	return c.cluster() || c.sentinels != nil
}

func (c *Client) cluster() bool {
	_, cluster := c.rdb.(*goredis.ClusterClient)
	return cluster
}

// masters lists the nodes that keep data now, for connections past the pool.
func (c *Client) masters(ctx context.Context) (servers []*goredis.Options, err error) {
	var mu sync.Mutex
	err = eachMaster(ctx, c.rdb, func(_ context.Context, master *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, master.Options())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing masters: %w", err)
	}
	if c.sentinels == nil {
		return servers, nil
	}
	// What the pool knows of the master is hidden in how it dials.
	master := *servers[0]
	if master.Addr, err = c.sentinels.master(ctx); err != nil {
		return nil, err
	}
	master.Dialer = goredis.NewDialer(&master)
	return []*goredis.Options{&master}, nil
}

// sentinels know who the master is. One of them is asked until it fails.
type sentinels struct {
	name    string
	options []*goredis.Options

	mu    sync.Mutex
	asked *goredis.SentinelClient
	at    int // its place among options
}

// newSentinels makes what asks the Sentinels of a URL; nil where it names none. Nothing is dialled.
func newSentinels(o *goredis.UniversalOptions) *sentinels {
	if o.MasterName == "" {
		return nil
	}
	s := &sentinels{name: o.MasterName}
	for _, address := range o.Addrs {
		s.options = append(s.options, &goredis.Options{
			Addr: address, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.TLSConfig,
			MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, PoolSize: 1, DisableIdentity: true,
			DialTimeout: o.DialTimeout, ReadTimeout: max(o.ReadTimeout, o.DialTimeout), WriteTimeout: o.DialTimeout, ContextTimeoutEnabled: true,
		})
	}
	return s
}

// master is the address of the master.
func (s *sentinels) master(ctx context.Context) (address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.options {
		if s.asked == nil {
			s.asked = goredis.NewSentinelClient(s.options[s.at])
		}
		var hostAndPort []string
		if hostAndPort, err = s.asked.GetMasterAddrByName(ctx, s.name).Result(); err == nil {
			return net.JoinHostPort(hostAndPort[0], hostAndPort[1]), nil
		}
		s.drop()
		s.at = (s.at + 1) % len(s.options)
	}
	return "", fmt.Errorf("asking sentinels for their master: %w", err)
}

func (s *sentinels) drop() {
	if s.asked != nil {
		s.asked.Close() //nolint:errcheck // it failed, or nobody needs it
		s.asked = nil
	}
}

func (s *sentinels) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}
