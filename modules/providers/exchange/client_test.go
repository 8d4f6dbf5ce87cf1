package exchange

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestTheWaitForACredentialIsPartOfTheWaitForAnAnswer(t *testing.T) {
	asked := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(srv.Close)
	waits := func(r *http.Request, _ []byte) error {
		<-r.Context().Done()
		return errors.New("no credential came")
	}
	for name, tt := range map[string]struct {
		authorize  func(*http.Request, []byte) error
		client     time.Duration // after which the client leaves
		firstToken time.Duration
		want       func(err error) bool
	}{
		"too long for the provider": {waits, time.Minute, time.Millisecond, func(err error) bool {
			var e *dialect.Error
			return errors.As(err, &e) && e.Kind == dialect.Timeout && e.Retryable
		}},
		"too long for the client": {waits, time.Millisecond, time.Minute, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"there is none": {func(*http.Request, []byte) error { return dialect.Errorf(dialect.UpstreamAuth, "none") }, time.Minute, time.Minute, func(err error) bool {
			var e *dialect.Error
			return errors.As(err, &e) && e.Kind == dialect.UpstreamAuth
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Authorize: tt.authorize, FirstToken: tt.firstToken, Idle: time.Minute}
			if err := c.Set([]string{srv.URL}, ""); err != nil {
				t.Fatal(err)
			}
			c.Open(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), tt.client)
			defer cancel()
			if _, err := c.Send(ctx, "/", nil, &gateway.Attempt{}, &Format{}); !tt.want(err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if asked {
		t.Error("a request without a credential was sent")
	}
}
