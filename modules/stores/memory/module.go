package memory

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Store)) }

// DefaultMaxSize bounds the answers in memory, in bytes.
const DefaultMaxSize = 64 << 20

// The pool keeps limits and answers over a reload.
var pool = caddy.NewUsagePool()

// Store keeps limits and answers in the process's memory.
type Store struct {
	// MaxSize bounds all answers together, in bytes. Default: 64 MiB.
	MaxSize int64 `json:"max_size,omitempty"`

	limiter *Limiter
	answers *Answers
	taken   []any // pool keys to give back
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.memory", New: func() caddy.Module { return new(Store) }}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store memory {
//		max_size <size>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "max_size" {
			return d.Errf("unrecognized subdirective %q of store memory", d.Val())
		}
		if err := gateway.SizeArg(d, &s.MaxSize); err != nil {
			return err
		}
	}
	return nil
}

// Provision takes what a former config left, or makes it.
func (s *Store) Provision(caddy.Context) error {
	if s.MaxSize == 0 {
		s.MaxSize = DefaultMaxSize
	}
	limiter, err := s.take("limits", func() caddy.Destructor { return limits{NewLimiter()} })
	if err != nil {
		return err
	}
	s.limiter = limiter.(limits).Limiter
	// Another size makes another cache: answers can be made again, limits cannot.
	answers, err := s.take(fmt.Sprintf("answers %d", s.MaxSize), func() caddy.Destructor { return kept{NewAnswers(s.MaxSize)} })
	if err != nil {
		return err
	}
	s.answers = answers.(kept).Answers
	return nil
}

func (s *Store) take(key string, make func() caddy.Destructor) (any, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return make(), nil })
	if err == nil {
		s.taken = append(s.taken, key)
	}
	return value, err
}

// Limiter keeps the windows.
func (s *Store) Limiter() gateway.Limiter { return s.limiter }

// Answers keeps the answers.
func (s *Store) Answers() gateway.AnswerStore { return s.answers }

// NewAnswers makes a cache of its own, for a store that wants one in the process before its own.
func (s *Store) NewAnswers(maxBytes int64) gateway.AnswerStore { return NewAnswers(maxBytes) }

// Ping never fails.
func (s *Store) Ping(context.Context) error { return nil }

// Release gives limits and answers back to the pool.
func (s *Store) Release() error {
	for _, key := range s.taken {
		if _, err := pool.Delete(key); err != nil {
			return err
		}
	}
	s.taken = nil
	return nil
}

type limits struct{ *Limiter }

// Destruct forgets the limits with their last user.
func (limits) Destruct() error { return nil }

type kept struct{ *Answers }

// Destruct frees the answers with their last user.
func (k kept) Destruct() error { return k.Close() }

// Interface guards
var (
	_ gateway.Store         = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
