package cache

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// flights are the calls in progress that others may join, by key.
type flights struct {
	mu    sync.Mutex
	byKey map[gateway.AnswerKey]*flight
}

// flight is one call upstream and everybody who waits for it. Its leader's handler drives it, also once the leader's
// own client has left, for as long as somebody is there.
type flight struct {
	cancel       context.CancelCauseFunc // ends the call upstream; set by the leader before it begins
	stream       bool
	includeUsage bool
	trace        trace.SpanContext // of the leader's request

	mu              sync.Mutex
	present         int // clients that wait
	over            bool
	changed         chan struct{} // closed when something below changes; nil where nobody waits for that
	provider, model string
	log             []byte // a stream's events so far
	told            bool   // they are more than signs of life
	closed          bool   // the log is not whole any more: nobody can join the stream
	answer          *gateway.Answer
	failure         *dialect.Error
}

// firstLog is how much of a stream a log has room for at first, in bytes. Most streams have more.
const firstLog = 4 << 10

var errEverybodyLeft = errors.New("everybody who waited has left")

// join finds the flight of a key and adds the caller to it, or begins one that the caller leads.
func (fs *flights) join(ctx context.Context, key gateway.AnswerKey, call *gateway.Call) (f *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f, ok := fs.byKey[key]; ok && f.board() {
		return f, false
	}
	f = &flight{stream: call.Stream, includeUsage: call.IncludeUsage, present: 1, trace: trace.SpanContextFromContext(ctx)}
	if fs.byKey == nil {
		fs.byKey = make(map[gateway.AnswerKey]*flight)
	}
	fs.byKey[key] = f
	return f, true
}

// end takes a flight off the list and tells all who wait what they get: an answer, a failure, or neither.
func (fs *flights) end(key gateway.AnswerKey, f *flight, answer *gateway.Answer, failure *dialect.Error) {
	fs.mu.Lock()
	if fs.byKey[key] == f {
		delete(fs.byKey, key)
	}
	fs.mu.Unlock()
	f.change(func() {
		f.over = true
		if f.answer == nil {
			f.answer, f.failure = answer, failure
		}
	})
}

// board adds somebody who waits, unless the flight is over or was given up.
func (f *flight) board() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.present == 0 {
		return false
	}
	f.present++
	return true
}

// leave takes somebody off. The last one to leave ends the call upstream.
func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.present--; f.present == 0 {
		f.cancel(errEverybodyLeft)
	}
}

// wanted says whether somebody waits.
func (f *flight) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.present > 0
}

func (f *flight) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// lead makes the call upstream, for itself and for whoever joins.
func (c *Cache) lead(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, call *gateway.Call, key gateway.AnswerKey, f *flight, asked control, release func()) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	f.cancel = cancel
	leader := &leaderWriter{ResponseWriter: w, flight: f}
	stop := context.AfterFunc(r.Context(), leader.leave)

	call.Cache = gateway.CacheMiss
	setHeaders(w.Header(), "MISS", "llm_cache; fwd=uri-miss")
	call.Record = &recorder{cache: c, call: call, key: key, flight: f, release: release}
	call.Rescue = c.rescue(call, key, f, asked)
	defer func() { // after a panic too, since others wait
		stop()
		release()
		c.flights.end(key, f, nil, shared(call.Err))
		cancel(nil)
	}()
	return next.ServeHTTP(leader, r.WithContext(ctx))
}

// shared is the part of a leader's failure that those who joined get too. That its client left is its own affair.
func shared(err error) *dialect.Error {
	if err == nil {
		return nil
	}
	var e *dialect.Error
	errors.As(err, &e)
	return e
}

// leaderWriter writes to the leader's client for as long as that is there, and goes on without it while others wait.
type leaderWriter struct {
	http.ResponseWriter
	flight *flight
	left   sync.Once
	gone   bool
	client *http.ResponseController // nil before the first flush
}

// leave takes the leader off its flight, once.
func (w *leaderWriter) leave() { w.left.Do(w.flight.leave) }

// Write never fails while somebody waits for the rest.
func (w *leaderWriter) Write(p []byte) (int, error) {
	if !w.gone {
		n, err := w.ResponseWriter.Write(p)
		if err == nil {
			return n, nil
		}
		w.gone = true
		w.leave()
	}
	if !w.flight.wanted() {
		return 0, errEverybodyLeft
	}
	return len(p), nil
}

// FlushError sends what was written.
func (w *leaderWriter) FlushError() error {
	if w.gone {
		return nil
	}
	if w.client == nil {
		w.client = http.NewResponseController(w.ResponseWriter)
	}
	if err := w.client.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		w.gone = true
		w.leave()
		if !w.flight.wanted() {
			return err
		}
	}
	return nil
}

// Unwrap lets a http.ResponseController reach the connection.
func (w *leaderWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recorder keeps an answer as it is made, and shares it with those who joined.
type recorder struct {
	cache  *Cache
	call   *gateway.Call
	key    gateway.AnswerKey
	flight *flight // nil where nobody can join
	// release lets other gateways look for the answer.
	release func()
}

// Event adds an event to the log of the flight.
func (rec *recorder) Event(event []byte) {
	f := rec.flight
	if f == nil {
		return
	}
	f.change(func() {
		f.provider, f.model, f.told = rec.call.Provider, rec.call.Upstream, true
		f.add(event, rec.cache.MaxEntry*8)
	})
}

// KeepAlive adds a sign of life to the log of the flight, for the clients of all who joined. The call is its handler's now.
func (rec *recorder) KeepAlive(event []byte) {
	if f := rec.flight; f != nil {
		f.change(func() { f.add(event, rec.cache.MaxEntry*8) })
	}
}

// add adds to the log, up to a size.
func (f *flight) add(event []byte, limit int64) {
	if f.closed || int64(len(f.log)+len(event)) > limit {
		f.closed, f.log = true, nil
		return
	}
	if f.log == nil {
		f.log = make([]byte, 0, min(firstLog, limit))
	}
	f.log = append(f.log, event...)
}

// Whole stores the answer before its last byte leaves, so that an immediate repeat finds it.
func (rec *recorder) Whole(answer *gateway.Answer) {
	rec.cache.keep(context.Background(), rec.call, rec.key, answer)
	rec.release()
	if f := rec.flight; f != nil {
		f.change(func() { f.answer = answer })
	}
}
