package cache

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// rescue answers a call that no provider answers from what the cache still has, past its time. It is nil where that is not
// wanted: by the config, or by a client that asks for a certain age.
func (c *Cache) rescue(call *gateway.Call, key gateway.AnswerKey, f *flight, asked control) func(http.ResponseWriter, *http.Request, *dialect.Error) (bool, error) {
	store, ok := c.app.Answers().(gateway.StaleAnswerStore)
	if !ok || c.StaleIfError == 0 || asked.maxAge >= 0 {
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request, failure *dialect.Error) (bool, error) {
		switch failure.Kind {
		case dialect.UpstreamFailed, dialect.UpstreamAuth, dialect.Unavailable, dialect.Timeout:
		default: // what is the call's own fault stays its own
			return false, nil
		}
		answer, err := lookStale(r.Context(), store, key)
		if answer == nil || err != nil {
			return false, nil
		}
		if f != nil {
			f.change(func() { f.answer = answer })
		}
		call.Err, call.Cache = nil, gateway.CacheStale
		setHit(w.Header(), answer, time.Now())
		setHeaders(w.Header(), "STALE", "llm_cache; fwd=stale; fwd-status="+strconv.Itoa(failure.HTTPStatus()))
		return true, c.serveAnswer(w, r, call, answer)
	}
}
