// Package exchange is what providers that are asked over HTTP have in common: one exchange of a request and its answer, whole or
// in events, within bounds of time and size, with a credential that may change. What the bodies say is the providers' own.
package exchange

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Client sends requests to one API. It is ready once its fields and addresses are set and Open was called.
type Client struct {
	Addresses
	// Key is the API's credential.
	Key Credential
	// Sign adds the headers that every request needs. The secret is empty where the API takes none.
	Sign func(r *http.Request, secret string)
	// Authorize, where set, stands in place of Key and Sign, for a credential that is no text of the config: a signature of the
	// request, whose body is handed along, or a token that somebody has to be asked for. The error is a *dialect.Error, or the context's.
	Authorize func(r *http.Request, body []byte) error
	// FirstToken, Idle and Total are the provider's own timeouts, see gateway.Timeouts. A zero is as the attempt says, else the
	// default.
	FirstToken, Idle, Total time.Duration

	transports transports
}

// Open makes the client ready. connect is as Client's timeouts are. It dials nobody.
func (c *Client) Open(connect time.Duration) { c.transports.open(connect) }

// Close closes connections that nobody uses. Those of calls in progress live on until they are done.
func (c *Client) Close() { c.transports.close() }

// request sends an attempt's request, and returns its payload as well.
func (c *Client) request(ctx context.Context, ref string, body []byte, attempt *gateway.Attempt) (*http.Response, *payload, error) {
	base := c.next()
	traceServer(ctx, base)
	p := new(payload)
	if attempt.Stream {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: p.wrote})
	}
	req := (&http.Request{
		Method: cmp.Or(attempt.Method, http.MethodPost), URL: below(base, ref), Host: base.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 8),
	}).WithContext(ctx)
	for name, values := range attempt.Header {
		req.Header[name] = values
	}
	fields := [...]string{cmp.Or(attempt.ContentType, "application/json"), attempt.RequestID, "text/event-stream"} // of all fields together
	if req.Method == http.MethodPost {
		p.body = body
		req.GetBody = p.open
		req.Body, _ = p.open() // it has no error
		req.ContentLength = int64(len(body))
		req.Header["Content-Type"] = fields[0:1:1]
	}
	req.Header["X-Request-Id"] = fields[1:2:2]
	if attempt.Stream {
		req.Header["Accept"] = fields[2:]
	}
	resp, err := c.roundTrip(req, p.body, attempt.Timeouts.Connect)
	return resp, p, err
}

// userAgent is the value of that field, which nobody changes.
var userAgent = []string{"caddy-llm"}

// roundTrip adds the credential and sends. It follows no redirect, so only configured hosts are ever dialled.
func (c *Client) roundTrip(req *http.Request, body []byte, connect time.Duration) (*http.Response, error) {
	req.Header["User-Agent"] = userAgent
	if err := c.authorize(req, body); err != nil {
		return nil, err
	}
	resp, err := c.transports.of(connect).RoundTrip(req)
	if err != nil {
		return nil, transportError(req.Context(), err)
	}
	return resp, nil
}

func (c *Client) authorize(req *http.Request, body []byte) error {
	if c.Authorize != nil {
		err := c.Authorize(req, body)
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
