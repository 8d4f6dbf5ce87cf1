// Package exchange is what providers that are asked over HTTP have in common: one exchange of a request and its answer, whole or
// in events, within bounds of time and size, with a credential that may change. What the bodies say is the providers' own.
package exchange

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Defaults of the timeouts.
const (
	DefaultConnectTimeout    = 3 * time.Second
	DefaultFirstTokenTimeout = 60 * time.Second
	DefaultIdleTimeout       = 120 * time.Second
)

// Default sets a timeout that is not set.
func Default(d *caddy.Duration, value time.Duration) {
	if *d == 0 {
		*d = caddy.Duration(value)
	}
}

// Client sends requests to one API. It is ready once its fields and addresses are set and Open was called.
type Client struct {
	Addresses
	// Key is the API's credential.
	Key Credential
	// Sign adds the headers that every request needs. The secret is empty where the API takes none.
	Sign func(r *http.Request, secret string)
	// Authorize, where set, stands in place of Key and Sign, for a credential that is no text of the config: a signature of the
	// request, or a token that somebody has to be asked for. The error is a *dialect.Error, or the context's.
	Authorize func(r *http.Request) error
	// FirstToken bounds the wait for the first event of a stream, and for a whole answer's head; Idle that between two
	// events, and between two reads of a whole answer.
	FirstToken, Idle time.Duration

	transport *http.Transport
}

// Open makes the client's transport, whose dial and TLS handshake are bounded each. It dials nobody.
func (c *Client) Open(connect time.Duration) {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	c.transport = &http.Transport{
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

// Close closes connections that nobody uses. Those of calls in progress live on until they are done.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// request sends an attempt's request.
func (c *Client) request(ctx context.Context, ref string, body []byte, attempt *gateway.Attempt) (*http.Response, error) {
	base := c.next()
	traceServer(ctx, base)
	req := (&http.Request{
		Method: http.MethodPost, URL: below(base, ref), Host: base.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 8),
	}).WithContext(ctx)
	for name, values := range attempt.Header {
		req.Header[name] = values
	}
	if attempt.Method != "" {
		req.Method = attempt.Method
	}
	if req.Method == http.MethodPost {
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.ContentLength = int64(len(body))
		req.Header["Content-Type"] = []string{cmp.Or(attempt.ContentType, "application/json")}
	}
	req.Header["X-Request-Id"] = []string{attempt.RequestID}
	if attempt.Stream {
		req.Header["Accept"] = []string{"text/event-stream"}
	}
	return c.roundTrip(req)
}

// roundTrip adds the credential and sends. It follows no redirect, so only configured hosts are ever dialled.
func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	req.Header["User-Agent"] = []string{"caddy-llm"}
	if err := c.authorize(req); err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, transportError(req.Context(), err)
	}
	return resp, nil
}

func (c *Client) authorize(req *http.Request) error {
	if c.Authorize != nil {
		err := c.Authorize(req)
		if ctx := req.Context(); err != nil && ctx.Err() != nil {
			return transportError(ctx, err) // what ended the wait for a credential is a timeout of ours, or the client
		}
		return err
	}
	secret, err := c.Key.Read()
	if err != nil {
		return &dialect.Error{Kind: dialect.UpstreamAuth, Message: "the gateway's credential for the provider cannot be read", Cause: errors.New("reading api_key")}
	}
	c.Sign(req, secret)
	return nil
}
