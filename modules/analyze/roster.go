package analyze

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// rosterFor is how long a provider's list of models is good for.
	rosterFor = 30 * time.Second
	// rosterRetry is how long a provider that could not give its list is left alone.
	rosterRetry = 3 * time.Second
	// rosterTimeout bounds one question for the list.
	rosterTimeout = 2 * time.Second
)

// roster remembers which models a provider lists. It is safe for concurrent use, and asks once at a time.
type roster struct {
	provider gateway.Provider
	now      func() time.Time
	known    atomic.Pointer[listing]
	asking   chan struct{} // holds one token while somebody asks
}

// listing is what a provider answered last.
type listing struct {
	models []string
	err    error
	until  time.Time
}

func newRoster(provider gateway.Provider) *roster {
	return &roster{provider: provider, now: time.Now, asking: make(chan struct{}, 1)}
}

// models lists the ids of the provider's models, a chat model first. Where the provider cannot say now but could
// before, the former list stands.
func (r *roster) models(ctx context.Context) ([]string, error) {
	if l := r.fresh(); l != nil {
		return l.models, l.err
	}
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l := r.fresh(); l != nil {
		return l.models, l.err
	}
	asked, cancel := context.WithTimeout(ctx, rosterTimeout)
	defer cancel()
	listed, err := r.provider.Models(asked)
	if err != nil && ctx.Err() != nil {
		return nil, err // the caller went away, which says nothing of the provider
	}
	next := &listing{err: err, until: r.now().Add(rosterFor)}
	if err != nil {
		next.until = r.now().Add(rosterRetry)
		if former := r.known.Load(); former != nil && former.err == nil {
			next.models, next.err = former.models, nil
		}
	} else {
		next.models = make([]string, len(listed))
		for i, m := range listed {
			next.models[i] = m.ID
		}
	}
	r.known.Store(next)
	return next.models, next.err
}

// first is the first model of the list that is known, however old that is; "" where none is. It waits for nobody: a list that is not
// fresh is asked for meanwhile.
func (r *roster) first() string {
	if r.fresh() == nil && len(r.asking) == 0 {
		go r.models(context.Background()) //nolint:errcheck // it keeps what it finds
	}
	if l := r.known.Load(); l != nil && len(l.models) > 0 {
		return l.models[0]
	}
	return ""
}

func (r *roster) fresh() *listing {
	if l := r.known.Load(); l != nil && r.now().Before(l.until) {
		return l
	}
	return nil
}

// providerError tells in the gateway's terms why a provider gave no list.
func providerError(up *gateway.Upstream, err error) *dialect.Error {
	var e *dialect.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &dialect.Error{Kind: dialect.Timeout, Message: "the provider " + up.Name + " took too long to list its models", Cause: err}
	}
	return &dialect.Error{Kind: dialect.Unavailable, Message: "the provider " + up.Name + " could not list its models", Cause: err}
}
