package gateway

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
)

const callVar = "llm_gateway.call"

// Call is one LLM request on its way through the handlers. The first handler of ours that a request meets makes
// it; the others find it. It is used by one goroutine at a time.
type Call struct {
	App     *App
	ID      string // the request's id, as X-Request-Id has it
	Surface *Surface
	Started time.Time

	// Key is who calls; nil before llm_auth, and where a route has none.
	Key *Key

	// What the body says, set by Parse.
	Model        string // the name that the client asked for
	Stream       bool
	IncludeUsage bool          // the client wants a stream's usage event
	Array        *gemini.Array // the client wants a stream as the elements of an array; nil where as server-sent events
	MaxTokens    int64         // the largest of all caps on output; 0 where there is none
	Repeatable   bool          // the same call is meant to get the same answer (temperature 0, embeddings)
	InputTokens  int64         // an estimate from the body's size, for reservations
	// ContentType is that of a body which is a form; "" where it is JSON.
	ContentType string

	// Route is where the call goes, set by Resolve.
	Route *Route

	// CacheTTL overrides the cache's own time to live where not nil; zero neither reads nor writes.
	CacheTTL *time.Duration
	// CacheBody is what stands for the call in its cache key, where that is not the body.
	CacheBody []byte
	// Native gives the body that goes upstream, where that is not the client's own.
	Native func() ([]byte, error)
	// Accept judges a whole answer, where the surface has rules of its own. It returns the answer in the surface's shape;
	// or, where a second try is worth it, the body to ask with once more; or why the answer is no good.
	Accept func(body []byte, last bool) (answer, again []byte, err *dialect.Error)
	// Deliver writes a whole answer, where that is not simply its body.
	Deliver func(w http.ResponseWriter, answer *Answer) error
	// Record, where set, is told of an answer as it is made.
	Record Recorder
	// Rescue, where set, may answer a call in place of a failure. It says whether it did.
	Rescue func(w http.ResponseWriter, r *http.Request, failure *dialect.Error) (served bool, err error)

	// Ahead is what was done for the call before its limits were decided on.
	Ahead Ahead
	// Claims are all limits that were asked so far, with what was found.
	Claims []Claim

	// What became of the call.
	Status      int         // HTTP status of the answer; 0 where a handler of someone else's answered
	Err         error       // why it failed
	Cache       CacheResult // how the cache took part
	Provider    string      // who answered
	Upstream    string      // the provider's own name of the model that answered
	Attempts    int         // tries made upstream
	Usage       dialect.Usage
	UpstreamFor time.Duration // time spent waiting for providers
	FirstToken  time.Duration // from Started to the first event, for streams; 0 where there was none
	Limited     bool          // the limits of the key and its team have been applied
	Refused     bool          // a limit refused the call

	idField [1]string // the value of X-Request-Id, which so takes no allocation of its own

	begun   bool       // the head of a stream is sent
	telling sync.Mutex // guards what placeholders tell against attempts, where a timer sends a stream's head meanwhile

	body  *body
	peekd bool
	perr  *dialect.Error
	depth int
}

// Recorder is told of an answer while it is being made. The cache sets one to keep and share it.
type Recorder interface {
	// Event is given each event of a stream, as the client gets it. It must not keep the slice.
	Event(event []byte)
	// KeepAlive is given what is sent while there is no event. It may be called by another goroutine than the call's, though never at
	// the same time as Event.
	KeepAlive(event []byte)
	// Whole is given the complete, valid answer before its last byte leaves.
	Whole(answer *Answer)
}

// CacheResult is how the cache took part in a call.
type CacheResult string

// The ways in which the cache can take part.
const (
	CacheNone      CacheResult = ""          // no cache on the way
	CacheHit       CacheResult = "hit"       // answered from the cache
	CacheMiss      CacheResult = "miss"      // asked upstream
	CacheCollapsed CacheResult = "collapsed" // answered by an identical call in progress
	CacheBypass    CacheResult = "bypass"    // not to be cached
	CacheStale     CacheResult = "stale"     // answered from the cache past its time, since no provider answered
)

// FromCache says whether an answer cost nothing upstream.
func (r CacheResult) FromCache() bool {
	return r == CacheHit || r == CacheCollapsed || r == CacheStale
}

// CallFrom finds the call of a request; nil where no handler of ours has met it.
func CallFrom(r *http.Request) *Call {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	call, _ := vars[callVar].(*Call)
	return call
}

// Enter begins or continues a request's call. Each handler calls it first and defers Leave.
func (app *App) Enter(w http.ResponseWriter, r *http.Request) *Call {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if call, ok := vars[callVar].(*Call); ok {
		call.depth++
		return call
	}
	call := &Call{
		App:     app,
		ID:      requestID(r),
		Surface: surfaceOf(r),
		Started: time.Now(),
		depth:   1,
	}
	if vars != nil {
		vars[callVar] = call
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(call.placeholder)
	}
	h := w.Header()
	call.idField[0] = call.ID
	h["X-Request-Id"] = call.idField[:]
	if call.Surface.Dialect == dialect.Anthropic {
		h["Request-Id"] = h["X-Request-Id"] // where that dialect's SDKs look
	}
	if len(app.CORS) > 0 {
		app.allowOrigin(h, r)
	}
	app.metrics.inFlight.Inc()
	app.state.add()
	return call
}

// Leave ends a handler's part. When the outermost one leaves, the call is over: it is counted and its body is freed.
func (c *Call) Leave() {
	if c.depth--; c.depth > 0 {
		return
	}
	if cause := recover(); cause != nil {
		defer panic(cause) // it goes on once the call is accounted for
		c.panicked(cause)
	}
	c.App.metrics.observe(c)
	c.App.journal.note(c)
	c.App.metrics.inFlight.Dec()
	c.App.state.done()
	c.body.release()
	c.body = nil
}

// panicked notes that a handler has given up on the call. ErrAbortHandler is how a handler ends a connection on purpose.
func (c *Call) panicked(cause any) {
	if cause == http.ErrAbortHandler {
		return
	}
	c.Status = http.StatusInternalServerError
	c.Err = dialect.Errorf(dialect.Internal, "the gateway failed; its log says why")
	c.App.metrics.panics.Inc()
}

// requestID is the client's own id where it sent a sane one, else a fresh UUID.
func requestID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && saneID(ids[0]) {
		return ids[0]
	}
	return newRequestID()
}

// newRequestID makes a random UUID. It has to be a different one each time, and is no secret: the runtime's generator does, which
// takes neither a lock nor a system call.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4, of RFC 9562
	id[8] = id[8]&0x3f | 0x80 // its variant
	return id.String()
}

// saneID accepts 1 to 128 letters, digits and the marks that ids are written with, so that an id can stand in
// a header, a log line and a file name.
func saneID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return !looksSecret(id)
}

// looksSecret says whether a client has put a credential where a name belongs. Names are echoed and logged.
func looksSecret(text string) bool {
	return hasPrefix(text, KeyPrefix) || hasPrefix(text, AdminKeyPrefix) || hasPrefix(text, "sk-")
}

// namesSecret says the same of a model's name, of which a part may be a provider's.
func namesSecret(model string) bool {
	for part := range strings.SplitSeq(model, "/") {
		if looksSecret(part) {
			return true
		}
	}
	return false
}

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

// Asking notes that an attempt begins.
func (c *Call) Asking(provider, upstream string) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.Attempts++
	c.Provider, c.Upstream = provider, upstream
}

// AddUsage adds what an attempt used.
func (c *Call) AddUsage(u dialect.Usage) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.Usage = c.Usage.Add(u)
}

// placeholder answers {http.llm.*}, and {http.auth.user.*} once the caller is known, for log, header, vars and matchers.
func (c *Call) placeholder(name string) (any, bool) {
	const prefix = "http.llm."
	if !hasPrefix(name, prefix) {
		return c.user(name)
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	switch name[len(prefix):] {
	case "request_id":
		return c.ID, true
	case "surface":
		return c.Surface.Name, true
	case "model":
		return c.Model, true
	case "provider":
		return c.Provider, true
	case "upstream_model":
		return c.Upstream, true
	case "cache":
		return string(c.Cache), true
	case "attempts":
		return c.Attempts, true
	case "key":
		if c.Key == nil {
			return "", true
		}
		return c.Key.ID, true
	case "usage.input_tokens":
		return c.Usage.InputTotal(), true
	case "usage.output_tokens":
		return c.Usage.OutputTotal(), true
	case "usage.total_tokens":
		return c.Usage.Total(), true
	case "error":
		if e, ok := c.Err.(*dialect.Error); ok {
			return string(e.Kind), true
		}
		return "", true
	}
	return nil, false
}

// The placeholders of who is authenticated. The first is Caddy's own.
const (
	userID   = "http.auth.user.id"
	userTeam = "http.auth.user.team"
	userName = "http.auth.user.name"
)

func (c *Call) user(name string) (any, bool) {
	if c.Key == nil {
		return nil, false
	}
	switch name {
	case userID:
		return c.Key.ID, true
	case userTeam:
		return c.Key.Team, true
	case userName:
		return c.Key.Name, true
	}
	return nil, false
}

// Authenticated notes who calls. Placeholders tell of this key from then on, whomever an earlier handler has found.
func (c *Call) Authenticated(r *http.Request, key *Key) {
	c.Key = key
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		for _, name := range [...]string{userID, userTeam, userName} { // what was set goes before what the call is asked for
			repl.Delete(name)
		}
	}
}
