package cache

import (
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// follow answers a call from a flight that it joined. It is false where the flight ended with nothing to share and nothing
// has been sent.
func (c *Cache) follow(w http.ResponseWriter, r *http.Request, call *gateway.Call, f *flight) (served bool, err error) {
	defer f.leave()
	span := startWait(r.Context(), f)
	defer func() { endWait(span, call, served) }()
	call.Cache = gateway.CacheCollapsed
	live := call.Stream && call.Array == nil && f.stream && call.IncludeUsage == f.includeUsage
	sent, told := 0, false // told says that the client has a part of the answer, not only signs of life
	flush := http.NewResponseController(w)
	for {
		f.mu.Lock()
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed, log, closed := f.changed, f.log, f.closed
		answer, failure, over := f.answer, f.failure, f.over
		provider, model, events := f.provider, f.model, f.told
		f.mu.Unlock()

		switch {
		case answer != nil && !told:
			setHeaders(w.Header(), "HIT", "llm_cache; fwd=uri-miss; collapsed")
			return true, c.serveAnswer(w, r, call, answer)
		case live && !closed && len(log) > sent:
			if call.Provider, call.Upstream, told = provider, model, events; !call.Begun() {
				setHeaders(w.Header(), "HIT", "llm_cache; fwd=uri-miss; collapsed")
				call.BeginStream(w)
			}
			if _, err := w.Write(log[sent:]); err != nil {
				return true, nil // the client is gone
			}
			sent = len(log)
			if err := flush.Flush(); err != nil {
				return true, nil
			}
			continue
		case told && closed:
			return true, c.breakOff(w, call, errTooLongToShare)
		case over && told:
			if failure != nil {
				return true, c.breakOff(w, call, failure)
			}
			return true, nil
		case over && failure != nil:
			return true, call.Fail(w, r, failure)
		case over:
			return false, nil
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return true, call.Fail(w, r, r.Context().Err())
		}
	}
}

var errTooLongToShare = dialect.Errorf(dialect.UpstreamFailed, "the answer is too long to be shared by calls in progress; send the call again")

// breakOff ends a stream that has begun with an error in it.
func (c *Cache) breakOff(w http.ResponseWriter, call *gateway.Call, failure *dialect.Error) error {
	call.Err = failure
	if !failure.Told {
		call.BreakStream(w, failure)
	}
	return nil
}
