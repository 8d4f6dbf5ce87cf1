package openai

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// recording is a form with a model and a file.
func recording(t *testing.T) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, "\x00\r\n--sound") //nolint:errcheck // a buffer takes everything
	w.WriteField("model", "alias")          //nolint:errcheck
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func TestAFormDiffersInTheModelAlone(t *testing.T) {
	type got struct{ method, path, contentType, body string }
	calls := make(chan got, 1)
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- got{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)}
		providertest.Says(200, "application/json", `{"text":"heard","usage":{"type":"tokens","input_tokens":14,"output_tokens":2}}`)(w, r)
	})
	contentType, body := recording(t)
	before := string(body)
	reply, err := newProvider(t, base+"/v1", nil).Send(t.Context(), &gateway.Attempt{Operation: dialect.Transcription, Model: "small", ContentType: contentType, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	want := got{"POST", "/v1/audio/transcriptions", contentType, strings.Replace(before, "\r\nalias\r\n", "\r\nsmall\r\n", 1)}
	if sent := <-calls; sent != want || string(body) != before {
		t.Errorf("sent %+v\nwant %+v\nthe client's is now %q", sent, want, body)
	}
	if reply.Usage != (dialect.Usage{Input: 14, Output: 2}) || reply.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %+v, %v", reply.Usage, reply.Header)
	}
}

func TestWhatIsAskedOfAFileHasNoBody(t *testing.T) {
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodDelete || r.URL.Path != "/v1/files/file-1" || len(body) > 0 || r.Header.Get("Content-Type") != "" || r.ContentLength > 0 {
			t.Errorf("%s %s %q %v", r.Method, r.URL.Path, body, r.Header)
		}
		providertest.Says(200, "application/json", `{"id":"file-1","deleted":true}`)(w, r)
	})
	_, err := newProvider(t, base+"/v1", nil).Send(t.Context(), &gateway.Attempt{Operation: dialect.Files, Method: http.MethodDelete, Resource: "/file-1"})
	if err != nil {
		t.Error(err)
	}
}

// speech asks for a text to be spoken.
func speech() *gateway.Attempt {
	return &gateway.Attempt{Operation: dialect.Speech, Model: "small", Body: []byte(`{"model":"alias","input":"a"}`)}
}

func TestAnswersThatAreNoJSONComeInPieces(t *testing.T) {
	sound := strings.Repeat("\xff\xfb sound", 20_000)
	for _, tt := range []struct{ contentType, body string }{
		{"audio/mpeg", sound}, {"text/vtt; charset=utf-8", "WEBVTT\n"}, {"text/plain", ""}, {"", "bytes"}, {"text/event-stream", "data: x\n\n"},
	} {
		p := newProvider(t, providertest.Serve(t, providertest.Says(200, tt.contentType, tt.body)), nil)
		s := openSent(t, p, speech())
		if got, _ := rest(s); got != tt.body || s.Err() != nil || s.Next() {
			t.Errorf("%s: got %d bytes and error %v, want %d bytes", tt.contentType, len(got), s.Err(), len(tt.body))
		}
	}
}

func TestOfAnAnswersHeadersOnlyThoseTravelThatSayWhatItIs(t *testing.T) {
	p := newProvider(t, providertest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Openai-Organization", "X-Ratelimit-Limit-Requests", "Set-Cookie", "X-Request-Id", "Cache-Control", "Content-Disposition"} {
			w.Header().Set(name, "theirs")
		}
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "sound") //nolint:errcheck
	}), nil)
	reply, err := p.Send(t.Context(), speech())
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Stream.Close()
	var names []string
	for name := range reply.Header {
		names = append(names, name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"Content-Disposition", "Content-Length", "Content-Type"}) {
		t.Errorf("got %v", reply.Header)
	}
}

func TestSoundThatBreaksOffIsAnError(t *testing.T) {
	breaks := func(before string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "audio/mpeg")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(200)
			io.WriteString(w, before) //nolint:errcheck
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	if e := providertest.Failure(t, newProvider(t, providertest.Serve(t, breaks("")), nil), speech()); !e.Retryable {
		t.Errorf("before the first byte: %v is not for another target", e)
	}
	s := openSent(t, newProvider(t, providertest.Serve(t, breaks("sound")), nil), speech())
	if got, _ := rest(s); got != "sound" || s.Err() == nil {
		t.Errorf("got %q and error %v", got, s.Err())
	}
}

func TestSoundThatFallsSilentEnds(t *testing.T) {
	release := make(chan struct{})
	base := providertest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "sound") //nolint:errcheck
		w.(http.Flusher).Flush()
		<-release
	})
	t.Cleanup(func() { close(release) })
	s := openSent(t, newProvider(t, base, func(p *Provider) { p.IdleTimeout = caddy.Duration(20 * time.Millisecond) }), speech())
	got, _ := rest(s)
	var e *dialect.Error
	if !errors.As(s.Err(), &e) || e.Kind != dialect.Timeout || got != "sound" {
		t.Errorf("got %q and error %v", got, s.Err())
	}
}

func TestStreamsOfMediaEndAsTheyDo(t *testing.T) {
	const part = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aQ==\"}\n\n"
	const whole = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\n"
	for _, tt := range []struct {
		name, sent, got string
		complete        bool
	}{
		{"with the last event", part + whole, part + whole, true},
		{"with several of them", whole + whole, whole + whole, true},
		{"with [DONE]", part + whole + finish, part + whole + finish, true},
		{"too early", part, part, false},
		{"in the middle of an event", part + whole[:40], part, false},
		{"with an error", part + "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"moderated\"}}\n\n", part, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", tt.sent)), nil)
			s := openSent(t, p, &gateway.Attempt{Operation: dialect.ImageGeneration, Model: "small", Body: []byte(`{"prompt":"a"}`), Stream: true})
			if got, _ := rest(s); got != tt.got || (s.Err() == nil) != tt.complete {
				t.Errorf("got %q and error %v", got, s.Err())
			}
			if want := (dialect.Usage{Input: 1, Output: 2}); tt.complete && s.Usage() != want {
				t.Errorf("usage is %+v", s.Usage())
			}
		})
	}
}

func TestWhatAServerHas(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(p *Provider)
		has  []gateway.Capability
	}{
		{"OpenAI", func(p *Provider) { p.BaseURLs = []string{vendor.Base}; p.APIKey = "k" }, gateway.Capabilities()},
		{"another", func(*Provider) {}, []gateway.Capability{gateway.CanChat, gateway.CanEmbeddings, gateway.CanCompletions}},
		{"OpenAI and another", func(p *Provider) { p.BaseURLs = append(p.BaseURLs, vendor.Base) }, []gateway.Capability{gateway.CanChat, gateway.CanEmbeddings, gateway.CanCompletions}},
		{"one that the config knows", func(p *Provider) { p.Surfaces = []gateway.Capability{gateway.CanAudio} }, []gateway.Capability{gateway.CanAudio}},
	} {
		p := newProvider(t, "http://127.0.0.1:1", tt.set)
		for _, c := range gateway.Capabilities() {
			if p.Can(c) != slices.Contains(tt.has, c) {
				t.Errorf("%s: has %s: %t", tt.name, c, p.Can(c))
			}
		}
	}
	if p := (&Provider{Config: exchange.Config{BaseURLs: []string{"http://127.0.0.1:1"}}, Surfaces: []gateway.Capability{"video"}}); p.Provision(caddy.Context{}) != nil || p.Validate() == nil {
		t.Error("a surface that is none is not refused")
	}
}

func BenchmarkSpeech(b *testing.B) {
	sound := strings.Repeat("sound", 200_000)
	p := newProvider(b, providertest.Serve(b, providertest.Says(200, "audio/mpeg", sound)), nil)
	b.SetBytes(int64(len(sound)))
	b.ReportAllocs()
	for b.Loop() {
		reply, err := p.Send(b.Context(), speech())
		if err != nil {
			b.Fatal(err)
		}
		for reply.Stream.Next() {
		}
		reply.Stream.Close()
	}
}
