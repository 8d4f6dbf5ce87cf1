package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// maxAnswer bounds a whole answer, in bytes.
	maxAnswer = 64 << 20
	// maxErrorBody bounds how much of an error's body is read, in bytes.
	maxErrorBody = 64 << 10
)

var paths = map[dialect.Operation]string{
	dialect.Chat:       "/chat/completions",
	dialect.Embeddings: "/embeddings",
}

func newTransport(connect time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connect,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a compressed stream would arrive in lumps
	}
}

// Send makes one attempt. The body differs from the client's in the model and, for a stream, in asking for its usage.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	path, ok := paths[attempt.Operation]
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidRequest, "an OpenAI-compatible provider has no operation %q", attempt.Operation)
	}
	ask := attempt.Stream && !attempt.WantUsage && !p.plain.Load()
	reply, err := p.send(ctx, path, attempt, ask)
	if errors.Is(err, errUsageRefused) {
		if reply, err = p.send(ctx, path, attempt, false); err == nil {
			p.plain.Store(true)
		}
	}
	return reply, err
}

// errUsageRefused is a server's refusal to tell the usage of a stream, which many servers do not know how to.
var errUsageRefused = errors.New("the server does not take stream_options")

// refusesUsage says whether a refusal is of stream_options. Servers say so in shapes of their own, some with 422.
func refusesUsage(status int, body []byte) bool {
	return (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && bytes.Contains(body, []byte("stream_options"))
}

func (p *Provider) send(ctx context.Context, path string, attempt *gateway.Attempt, askUsage bool) (*gateway.Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel: cancel, length: time.Duration(p.IdleTimeout)}
	w.first = time.AfterFunc(time.Duration(p.FirstTokenTimeout), func() { cancel(errFirstToken) })
	reply, err := p.exchange(ctx, w, path, attempt, askUsage)
	if err != nil {
		w.end()
		return nil, err
	}
	if reply.Stream == nil {
		w.end()
	}
	return reply, nil
}

func (p *Provider) exchange(ctx context.Context, w *watch, path string, attempt *gateway.Attempt, askUsage bool) (*gateway.Reply, error) {
	resp, err := p.post(ctx, path, p.body(attempt, askUsage), attempt)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what could be read is judged
		if askUsage && refusesUsage(resp.StatusCode, body) {
			return nil, errUsageRefused
		}
		return nil, wire.ParseError(resp.StatusCode, resp.Header.Get, body)
	}
	if attempt.Stream && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		s, err := openStream(ctx, w, resp, askUsage)
		if err != nil {
			return nil, err
		}
		return &gateway.Reply{Stream: s}, nil
	}
	defer resp.Body.Close()
	body, err := readAnswer(ctx, w, resp)
	if err != nil {
		return nil, err
	}
	if err := dialect.Check(body); err != nil {
		return nil, &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer is not valid JSON", Retryable: true, Cause: err}
	}
	if gjson.GetBytes(body, "error").IsObject() { // an error inside a 200
		return nil, wire.ParseError(http.StatusBadGateway, resp.Header.Get, body)
	}
	usage, _ := wire.UsageOf(body)
	return &gateway.Reply{Body: body, Usage: usage}, nil
}

// body is the client's with the provider's model in it.
func (p *Provider) body(attempt *gateway.Attempt, askUsage bool) []byte {
	edits := []dialect.Edit{{Name: "model", Value: dialect.String(nil, attempt.Model)}}
	if p.Schema != SchemaStandard {
		if edit, ok := schemaEdit(attempt.Body, p.Schema); ok {
			edits = append(edits, edit)
		}
	}
	if askUsage {
		edits = append(edits, wire.UsageEdit(attempt.Body))
	}
	return dialect.Splice(make([]byte, 0, len(attempt.Body)+128), attempt.Body, edits...)
}

// schemaEdit rewrites a response_format of type json_schema into the server's own form.
func schemaEdit(body []byte, form string) (dialect.Edit, bool) {
	format := gjson.GetBytes(body, "response_format")
	schema := format.Get("json_schema.schema")
	if format.Get("type").Str != "json_schema" || !schema.IsObject() {
		return dialect.Edit{}, false
	}
	if form == SchemaNone {
		return dialect.Edit{Name: "response_format"}, true
	}
	return dialect.Edit{Name: "response_format", Value: []byte(`{"type":"json_object","schema":` + schema.Raw + `}`)}, true
}

func (p *Provider) post(ctx context.Context, path string, body []byte, attempt *gateway.Attempt) (*http.Response, error) {
	base := p.base()
	traceServer(ctx, base)
	u := *base
	u.Path += path
	req := (&http.Request{
		Method: http.MethodPost, URL: &u, Host: base.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        make(http.Header, 8),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	for name, values := range attempt.Header {
		req.Header[name] = values
	}
	req.Header["Content-Type"] = []string{"application/json"}
	req.Header["X-Request-Id"] = []string{attempt.RequestID}
	if attempt.Stream {
		req.Header["Accept"] = []string{"text/event-stream"}
	}
	return p.roundTrip(req)
}

// roundTrip adds the credential and sends. It follows no redirect, so only configured hosts are ever dialled.
func (p *Provider) roundTrip(req *http.Request) (*http.Response, error) {
	secret, err := p.key.read()
	if err != nil {
		return nil, &dialect.Error{Kind: dialect.UpstreamAuth, Message: "the gateway's credential for the provider cannot be read", Cause: errors.New("reading api_key")}
	}
	if secret != "" {
		setCredential(req, secret)
	}
	req.Header["User-Agent"] = []string{"caddy-llm"}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return nil, transportError(req.Context(), err)
	}
	return resp, nil
}

// setCredential sends the key as the server wants it: Azure's own hosts take a key as api-key, all others as a bearer token.
func setCredential(req *http.Request, secret string) {
	if host := req.URL.Hostname(); strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com") {
		req.Header["Api-Key"] = []string{secret}
		return
	}
	req.Header["Authorization"] = []string{"Bearer " + secret}
}

// transportError tells a timeout of ours, a client who left and a broken connection apart.
func transportError(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errFirstToken), errors.Is(cause, errIdle):
		return &dialect.Error{Kind: dialect.Timeout, Message: "the provider " + cause.Error(), Retryable: errors.Is(cause, errFirstToken), Cause: cause}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &dialect.Error{Kind: dialect.Timeout, Message: "the provider could not be reached in time", Retryable: true, Cause: withoutURL(err)}
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return &dialect.Error{Kind: dialect.Unavailable, Message: "the provider cannot be reached", Retryable: true, RetryAfter: time.Second, Cause: withoutURL(err)}
	}
	return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the connection to the provider broke before it answered", Retryable: true, Cause: withoutURL(err)}
}

// withoutURL drops the address that net/http wraps errors with, which may name more than a log should.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// readAnswer takes a whole answer in, within bounds of size and silence.
func readAnswer(ctx context.Context, w *watch, resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxAnswer {
		return nil, errTooLong
	}
	size := resp.ContentLength + 1
	if size <= 0 {
		size = 16 << 10
	}
	body := make([]byte, 0, size)
	for {
		w.wait()
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxAnswer:
			return nil, errTooLong
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, transportError(ctx, fmt.Errorf("reading the answer: %w", err))
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

var errTooLong = dialect.Errorf(dialect.UpstreamFailed, "the provider's answer is larger than %d MiB", maxAnswer>>20)
