package bedrock

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// asked is a request that a runtime got.
type asked struct{ path, body string }

// record runs a runtime that tells what it is asked.
func record(t testing.TB) (base string, seen chan asked) {
	seen = make(chan asked, 1)
	h := runtime(t)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		seen <- asked{r.URL.EscapedPath(), string(body)}
		h(w, r)
	}), seen
}

func TestTheBodyIsTheClientsAsBedrockHasIt(t *testing.T) {
	base, seen := record(t)
	p := newProvider(t, base, nil)
	for _, tt := range []struct{ name, body, want, beta string }{
		{"bare", `{ "model":"x","max_tokens":9, "odd":[1e999] }`, `{ "max_tokens":9, "odd":[1e999],"anthropic_version":"bedrock-2023-05-31" }`, ""},
		{"betas of headers", `{"max_tokens":9,"model":"x","stream":false}`, `{"max_tokens":9,"anthropic_beta":["a","b\"","c"],"anthropic_version":"bedrock-2023-05-31"}`, "a, b\",;c"},
		{"all of its own", `{"max_tokens":9,"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["z"]}`, `{"max_tokens":9,"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["z"]}`, "a"},
	} {
		a := ask(false)
		a.Body = []byte(tt.body)
		a.Header = http.Header{"Anthropic-Version": {"2023-06-01"}}
		if tt.beta != "" {
			a.Header["Anthropic-Beta"] = strings.Split(tt.beta, ";")
		}
		if _, err := p.Send(t.Context(), a); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := <-seen; got.body != tt.want || string(a.Body) != tt.body || a.Header.Get("Anthropic-Version") == "" {
			t.Errorf("%s: sent %s, want %s", tt.name, got.body, tt.want)
		}
	}
}

func TestTokensAreCountedByBedrock(t *testing.T) {
	p := newProvider(t, serve(t, runtime(t)), nil)
	a := ask(false)
	a.Operation, a.Body = dialect.CountTokens, []byte(`{"model":"x","messages":[]}`)
	a.Header = http.Header{"Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"a"}}
	reply, err := p.Send(t.Context(), a)
	if err != nil || string(reply.Body) != `{"input_tokens":37}` {
		t.Errorf("the answer is %s, %v", reply.Body, err)
	}
	a.Operation = dialect.Embeddings
	if e := failing(t, p, a); e.Kind != dialect.InvalidRequest {
		t.Errorf("an operation that there is not: %v", e)
	}
}

// The official client of Go sends what the gateway sends, and a runtime that checks signatures takes both.
func TestRequestsAreThoseOfTheOfficialClient(t *testing.T) {
	base, seen := record(t)
	p := newProvider(t, base, nil)
	client := anthropic.NewClient(bedrock.WithConfig(aws.Config{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: canary}, nil
		}),
	}), option.WithBaseURL(base), option.WithMaxRetries(0))
	params := anthropic.MessageNewParams{Model: model, MaxTokens: 16, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("ping"))}}
	for _, stream := range []bool{false, true} {
		if stream {
			s := client.Messages.NewStreaming(t.Context(), params)
			for s.Next() {
			}
			if err := s.Err(); err != nil {
				t.Fatal(err)
			}
		} else if _, err := client.Messages.New(t.Context(), params); err != nil {
			t.Fatal(err)
		}
		theirs := <-seen
		a := ask(stream)
		a.Body = dialect.Set([]byte(theirs.body), "model", []byte(`"alias"`))
		reply, err := p.Send(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if stream {
			reply.Stream.Close()
		}
		ours := <-seen
		if ours.path != theirs.path || gjson.Get(ours.body, "@pretty:{\"sortKeys\":true}").Raw != gjson.Get(theirs.body, "@pretty:{\"sortKeys\":true}").Raw {
			t.Errorf("stream %t: sent %+v, the official client %+v", stream, ours, theirs)
		}
	}
}

func TestARNsStandInThePathWithoutEndingIt(t *testing.T) {
	const arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2/anthropic.c"
	path := ""
	p := newProvider(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		io.WriteString(w, answer) //nolint:errcheck // the client may be gone
	}), func(p *Provider) { p.Names = nil })
	a := ask(false)
	a.Model = arn
	if _, err := p.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if want := "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2%2Fanthropic.c/invoke"; path != want {
		t.Errorf("the path is %s, want %s", path, want)
	}
	if !p.Serves(arn) || !p.Serves("anthropic.claude-3-haiku-20240307-v1:0") || p.Serves("claude-sonnet-4-5") {
		t.Error("the models are not known by their names")
	}
}

func BenchmarkStream(b *testing.B) {
	frames := chunk(b, events[0])
	for range 100 {
		frames = append(frames, chunk(b, events[2])...)
	}
	frames = append(frames, chunks(b, events[3:]...)...)
	p := newProvider(b, serve(b, framing(frames)), nil)
	a := &gateway.Attempt{Operation: dialect.Chat, Model: model, Body: []byte(question), Stream: true, RequestID: "req_1"}
	b.ReportAllocs()
	for b.Loop() {
		reply, err := p.Send(b.Context(), a)
		if err != nil {
			b.Fatal(err)
		}
		for reply.Stream.Next() {
		}
		reply.Stream.Close()
	}
}

// FuzzUnwrap: whatever comes in, it ends, gives whole events and then an end or an error.
func FuzzUnwrap(f *testing.F) {
	whole := chunks(f, events...)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append(chunks(f, events[0]), exception(f, "throttlingException", "slow")...))
	f.Add(frame(f, `{}`, ":message-type", "error", ":error-code", "c", ":error-message", "m\r\n"))
	f.Add(frame(f, `{"bytes":"eyJ0eXBlIjoiYVxuYiJ9"}`, ":event-type", "chunk", ":message-type", "event"))
	f.Fuzz(func(t *testing.T, frames []byte) {
		resp := &http.Response{Header: http.Header{"Content-Type": {framed}}, Body: io.NopCloser(strings.NewReader(string(frames)))}
		unwrap(resp)
		text, err := io.ReadAll(resp.Body)
		if e, ok := err.(*dialect.Error); err != nil && (!ok || e.Retryable) {
			t.Errorf("the error is %v", err)
		}
		if len(text) > 0 && (!strings.HasPrefix(string(text), "event: ") || !strings.HasSuffix(string(text), "\n\n")) {
			t.Errorf("given is %q", text)
		}
	})
}
