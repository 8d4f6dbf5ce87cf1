package exchange

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// listTimeout bounds how long the server may take to list its models.
const listTimeout = 5 * time.Second

// maxList bounds the list of models, in bytes. Those of routers with hundreds of models come near a megabyte.
const maxList = 8 << 20

// List gets the server's list of models, which is valid JSON.
func (c *Client) List(ctx context.Context, path, query string, format *Format) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	base := c.next()
	u := *base
	u.Path += path
	u.RawQuery = query
	req := (&http.Request{Method: http.MethodGet, URL: &u, Host: base.Host, Header: make(http.Header)}).WithContext(ctx)
	resp, err := c.roundTrip(req, nil, 0)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, &dialect.Error{Kind: dialect.Timeout, Message: "the provider did not list its models in time", Retryable: true}
		}
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxList))
	if err != nil {
		return nil, transportError(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, format.ParseError(resp.StatusCode, resp.Header.Get, body)
	}
	if !gjson.ValidBytes(body) {
		return nil, &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's list of models is not valid JSON", Retryable: true}
	}
	return body, nil
}
