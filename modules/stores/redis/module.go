package redis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Store)) }

const (
	// DefaultL1Size bounds the answers in the process, in bytes.
	DefaultL1Size = 64 << 20
	// maxAnswer bounds one answer, in bytes.
	maxAnswer = 8 << 20
)

// The pool keeps connections, calls in progress and what is known of Redis over a reload.
var pool = caddy.NewUsagePool()

// Store keeps limits and answers in Redis or Valkey, for all gateways that use the same one.
type Store struct {
	// URL is where Redis is: redis://[user:password@]host[:port][/db], unix:///path, redis+sentinel://host,…/master or
	// redis+cluster://host,…; rediss in the place of redis encrypts. Placeholders are replaced when the config is loaded, and the
	// secret should be one: {env.REDIS_URL}, which is the default.
	URL string `json:"url,omitempty"`
	// Timeout bounds each operation, and so what a Redis that hangs can add to a call. Default: 50ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// PoolSize bounds the connections to each node. Default: ten for each CPU.
	PoolSize int64 `json:"pool_size,omitempty"`
	// OnError is what decides on limits while Redis does not answer: local (each gateway for itself on its share of each limit, beginning
	// with what it has admitted), allow or deny. Default: local.
	OnError Policy `json:"on_error,omitempty"`
	// L1Size bounds the answers that are kept in the process too, in bytes. Default: 64 MiB.
	L1Size int64 `json:"l1_size,omitempty"`

	state *state
	taken string
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.redis", New: func() caddy.Module { return new(Store) }}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store redis {
//		url       <url>
//		timeout   <duration>
//		pool_size <n>
//		on_error  local|allow|deny
//		l1_size   <size>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "url":
			err = gateway.OneArg(d, &s.URL)
		case "timeout":
			err = gateway.DurationArg(d, &s.Timeout)
		case "pool_size":
			err = gateway.CountArg(d, &s.PoolSize)
		case "on_error":
			err = gateway.OneArg(d, (*string)(&s.OnError))
		case "l1_size":
			err = gateway.SizeArg(d, &s.L1Size)
		default:
			err = d.Errf("unrecognized subdirective %q of store redis", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Provision applies the defaults, and takes what a former config left, or makes it. It dials nothing.
func (s *Store) Provision(ctx caddy.Context) error {
	if s.URL == "" {
		s.URL = "{env.REDIS_URL}"
	}
	if s.Timeout == 0 {
		s.Timeout = caddy.Duration(DefaultTimeout)
	}
	if s.OnError == "" {
		s.OnError = Local
	}
	if s.L1Size == 0 {
		s.L1Size = DefaultL1Size
	}
	if err := s.Validate(); err != nil {
		return err
	}
	url := caddy.NewReplacer().ReplaceAll(s.URL, "")
	if url == "" {
		return fmt.Errorf("url: %s is empty; set it, as in redis://localhost:6379", s.URL)
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	inner, err := loadMemory(ctx)
	if err != nil {
		return err
	}
	// The key is a digest, since the URL holds a password.
	key := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %d %d %s %d", url, s.Timeout, s.PoolSize, s.OnError, s.L1Size)))
	value, inUse, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newState(s, url, inner, ctx.Logger())
	})
	if err != nil {
		return errors.Join(err, inner.Release())
	}
	s.taken, s.state = key, value.(*state)
	if inUse {
		return inner.Release() // the one that is in use has its own
	}
	return nil
}

// Validate checks what the config says.
func (s *Store) Validate() error {
	switch s.OnError {
	case Local, Allow, Deny:
	default:
		return fmt.Errorf("on_error: %q is no policy; there are local, allow and deny", s.OnError)
	}
	if s.Timeout < caddy.Duration(time.Millisecond) {
		return fmt.Errorf("timeout: %s is too short for any answer; give at least 1ms", time.Duration(s.Timeout))
	}
	return nil
}

// Limiter keeps the windows.
func (s *Store) Limiter() gateway.Limiter { return s.state.limiter }

// Answers keeps the answers.
func (s *Store) Answers() gateway.AnswerStore { return s.state.answers }

// Optional says whether the gateway goes on without Redis.
func (s *Store) Optional() bool { return s.OnError != Deny }

// Ping tells whether Redis answers. A gateway that is asked whether it is ready is about to be sent calls, and is counted from then on.
func (s *Store) Ping(ctx context.Context) error {
	s.state.limiter.fleet.join()
	if err := s.state.client.Ping(ctx); err != nil {
		return fmt.Errorf("asking redis for a sign of life: %w", err)
	}
	return nil
}

// Release gives the store back to the pool, which closes it with its last user.
func (s *Store) Release() error {
	if s.taken == "" {
		return nil
	}
	_, err := pool.Delete(s.taken)
	s.taken = ""
	return err
}

// state is what outlives a config.
type state struct {
	client  *Client
	limiter *Limiter
	answers *Answers
	inner   gateway.Store
}

func newState(s *Store, url string, inner gateway.Store, log *zap.Logger) (*state, error) {
	client, err := NewClient(url, time.Duration(s.Timeout), int(s.PoolSize), log)
	if err != nil {
		return nil, err
	}
	state := &state{
		client:  client,
		limiter: newLimiter(client, s.OnError, inner.Limiter()),
		answers: newAnswers(client, firstLevel(inner, s.L1Size), maxAnswer, log),
		inner:   inner,
	}
	state.limiter.answers = state.answers
	return state, nil
}

// Destruct closes everything, with its last user.
func (s *state) Destruct() error {
	s.limiter.Close()
	return errors.Join(s.answers.Close(), s.client.Close(), s.inner.Release())
}

// loadMemory loads the store that stands in for Redis, and is the answers' first level. Stores do not import each other.
func loadMemory(ctx caddy.Context) (gateway.Store, error) {
	guest, err := ctx.LoadModuleByID("llm_gateway.stores.memory", nil)
	if err != nil {
		return nil, fmt.Errorf("loading the store in memory: %w", err)
	}
	store, ok := guest.(gateway.Store)
	if !ok {
		return nil, fmt.Errorf("llm_gateway.stores.memory: %T keeps no limits and answers", guest)
	}
	return store, nil
}

// firstLevel makes empty answer stores in the process's memory; nil where the store in memory makes none.
func firstLevel(inner gateway.Store, size int64) func() gateway.AnswerStore {
	maker, ok := inner.(interface {
		// NewAnswers makes an empty store for at most so many bytes of answers, which nobody else uses.
		NewAnswers(maxBytes int64) gateway.AnswerStore
	})
	if !ok {
		return nil
	}
	return func() gateway.AnswerStore { return maker.NewAnswers(size) }
}

// Interface guards
var (
	_ gateway.Store         = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddy.Validator       = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
