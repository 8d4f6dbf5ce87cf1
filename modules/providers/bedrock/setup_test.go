package bedrock

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) {
	// Nothing of the machine's own, its metadata least of all, has a part in these tests.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	nowhere := filepath.Join(os.TempDir(), "no-such-file-of-aws")
	os.Setenv("AWS_CONFIG_FILE", nowhere)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	goleak.VerifyTestMain(m)
}

const question = `{"model":"alias","max_tokens":16,"messages":[{"role":"user","content":"ping"}]}`

// newProvider provisions a provider of a runtime, with keys in the environment. set changes its config first.
func newProvider(t testing.TB, base string, set func(p *Provider)) *Provider {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", canary)
	p := &Provider{Region: region, BaseURLs: []string{base}}
	p.Names = []string{model}
	if set != nil {
		set(p)
	}
	return providertest.Ready(t, p)
}

func ask(stream bool) *gateway.Attempt {
	a := &gateway.Attempt{Operation: dialect.Chat, Model: model, Body: []byte(question), Stream: stream, RequestID: "req_1"}
	if stream {
		a.Body = []byte(strings.Replace(question, "{", `{"stream":true,`, 1))
	}
	return a
}

// failing fails as providertest.Failure does, and where the error tells the credential.
func failing(t testing.TB, p *Provider, a *gateway.Attempt) *dialect.Error {
	t.Helper()
	return providertest.Failure(t, p, a, canary)
}

// framing answers with frames.
func framing(frames []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", framed)
		w.Write(frames) //nolint:errcheck // the client may be gone
	}
}

func TestProviderBehavesAsAllDo(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Setup {
		stalled := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		paused := serve(t, providertest.Pauses(framing(chunk(t, events[0]))))
		return providertest.Setup{
			Provider:      newProvider(t, serve(t, runtime(t)), nil),
			Stalled:       newProvider(t, stalled, nil),
			Paused:        newProvider(t, paused, nil),
			Deterministic: true,
		}
	})
}

func TestTheClientGetsTheEventsOfTheAPIItself(t *testing.T) {
	whole := chunks(t, events...)
	other := frame(t, `{}`, ":event-type", "metadata", ":message-type", "event")
	for _, tt := range []struct {
		name, want string
		frames     []byte
		complete   bool
	}{
		{"whole", sent(events...), whole, true},
		{"frames of other types", sent(events...), append(append([]byte{}, other...), whole...), true},
		{"no end", sent(events[:2]...), chunks(t, events[:2]...), false},
		{"cut in a frame", sent(events[:2]...), whole[:len(chunks(t, events[:2]...))+40], false},
		{"cut in a frame's head", sent(events[:2]...), whole[:len(chunks(t, events[:2]...))+4], false},
		{"a byte is another", sent(events[:2]...), spoilt(whole, len(chunks(t, events[:2]...))+60), false},
		{"a length is another", sent(events[:2]...), spoilt(whole, len(chunks(t, events[:2]...))+2), false},
		{"no base64", sent(events[:2]...), append(chunks(t, events[:2]...), frame(t, `{"bytes":"!"}`, ":event-type", "chunk", ":message-type", "event")...), false},
		{"an unknown type of message", sent(events[:2]...), append(chunks(t, events[:2]...), frame(t, `{}`, ":message-type", "riddle")...), false},
		{"an exception in the middle", sent(events[:2]...), append(chunks(t, events[:2]...), exception(t, "modelStreamErrorException", "no")...), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply, err := newProvider(t, serve(t, framing(tt.frames)), nil).Send(t.Context(), ask(true))
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Stream.Close()
			var got strings.Builder
			for reply.Stream.Next() {
				got.Write(reply.Stream.Event())
			}
			if got.String() != tt.want {
				t.Errorf("the client gets %s, want %s", &got, tt.want)
			}
			var e *dialect.Error
			if err := reply.Stream.Err(); (err == nil) != tt.complete || err != nil && (!errors.As(err, &e) || e.Retryable || e.Kind != dialect.UpstreamFailed) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// spoilt is a copy with one bit changed.
func spoilt(frames []byte, at int) []byte {
	frames = append([]byte{}, frames...)
	frames[at] ^= 4
	return frames
}

func TestExceptionsAreToldInTheGatewaysTerms(t *testing.T) {
	for _, tt := range []struct {
		name      string
		status    int
		message   string
		kind      dialect.Kind
		retryable bool
		inside    bool // it may come in an answer too
	}{
		{"ValidationException", 400, "messages: no", dialect.InvalidRequest, false, true},
		{"ValidationException", 400, "The provided model identifier is invalid.", dialect.ModelNotFound, false, false},
		{"ResourceNotFoundException", 404, "Could not find the inference profile", dialect.ModelNotFound, false, false},
		{"AccessDeniedException", 403, "You don't have access to the model", dialect.UpstreamAuth, false, false},
		{"ExpiredTokenException", 403, "The security token is expired", dialect.UpstreamAuth, false, false},
		{"ThrottlingException", 429, "Too many requests", dialect.RateLimit, true, true},
		{"ServiceQuotaExceededException", 400, "over quota", dialect.RateLimit, true, false},
		{"ModelTimeoutException", 408, "took too long", dialect.Timeout, true, true},
		{"ModelErrorException", 424, "the model failed", dialect.UpstreamFailed, true, false},
		{"ModelNotReadyException", 429, "not ready", dialect.Unavailable, true, false},
		{"InternalServerException", 500, "it failed", dialect.UpstreamFailed, true, true},
		{"ServiceUnavailableException", 503, "later", dialect.Unavailable, true, true},
		{"SomethingNew", 503, "later", dialect.Unavailable, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, tt.status, tt.name, tt.message) }), nil)
			for _, stream := range []bool{false, true} {
				if e := failing(t, p, ask(stream)); e.Kind != tt.kind || e.Retryable != tt.retryable {
					t.Errorf("stream %t: kind %s, retryable %t", stream, e.Kind, e.Retryable)
				}
			}
			if !tt.inside {
				return
			}
			name := strings.ToLower(tt.name[:1]) + tt.name[1:]
			p = newProvider(t, serve(t, framing(exception(t, name, tt.message))), nil)
			if e := failing(t, p, ask(true)); e.Kind != tt.kind || e.Retryable != tt.retryable { // as before it
				t.Errorf("inside: kind %s, retryable %t", e.Kind, e.Retryable)
			}
		})
	}
	p := newProvider(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<html>") //nolint:errcheck // the client may be gone
	}), nil)
	if e := failing(t, p, ask(false)); e.Kind != dialect.UpstreamFailed || !e.Retryable {
		t.Errorf("a proxy's page: %v", e)
	}
}
