package proxy

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// gatewayWrote makes a call one whose body the gateway wrote.
func gatewayWrote(call *gateway.Call) {
	call.Native = func() ([]byte, error) {
		return []byte(`{"model":"both","messages":[{"role":"user","content":"ping"}],"temperature":1.5,"max_tokens":9}`), nil
	}
}

func TestAModelThatTakesNoTemperatureIsAskedWithout(t *testing.T) {
	for name, refusal := range map[string]*dialect.Error{
		"in the field":   {Kind: dialect.InvalidRequest, Status: 400, Field: "temperature", Message: "unsupported value"},
		"in the message": {Kind: dialect.InvalidRequest, Status: 400, Message: "`temperature` is deprecated for this model."},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, _ := newProxy(t)
			a.send = func(_ context.Context, at *gateway.Attempt) (*gateway.Reply, error) {
				if gjson.GetBytes(at.Body, "temperature").Exists() {
					return nil, refusal
				}
				return whole(answer), nil
			}
			for i, sent := range []int{2, 4, 6, 7} { // a temperature above 1 says nothing of others; of others, the second call knows
				w, _ := chat(t, p, question, func(call *gateway.Call) {
					gatewayWrote(call)
					if i > 1 {
						call.Native = func() ([]byte, error) {
							return []byte(`{"model":"both","messages":[],"temperature":0.1,"max_tokens":9}`), nil
						}
					}
				})
				if w.Code != http.StatusOK || len(a.sent) != sent {
					t.Fatalf("call %d is answered %d %s after %d attempts", i, w.Code, w.Body, len(a.sent))
				}
			}
			if last := a.sent[6].Body; !gjson.ValidBytes(last) || gjson.GetBytes(last, "max_tokens").Int() != 9 {
				t.Errorf("sent is %s", last)
			}
			// A client's own temperature is the client's to leave out.
			w, _ := chat(t, p, strings.Replace(question, `"messages"`, `"temperature":1,"messages"`, 1), nil)
			if w.Code != http.StatusBadRequest {
				t.Errorf("a client's own call is answered %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestWhatOneProviderDoesNotTakeOfTheGatewaysOwnBodyAnotherMay(t *testing.T) {
	for name, refusal := range map[string]*dialect.Error{
		"refused":       {Kind: dialect.InvalidRequest, Status: 400, Message: "no such parameter"},
		"no such model": {Kind: dialect.ModelNotFound, Message: "no such model"},
		"credential":    {Kind: dialect.UpstreamAuth, Message: "no"},
		"limit":         {Kind: dialect.RateLimit, Message: "slow down", Retryable: true},
		"broken":        {Kind: dialect.UpstreamFailed, Message: "oh", Retryable: true},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, b := newProxy(t)
			a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return nil, refusal }
			if w, call := chat(t, p, question, gatewayWrote); w.Code != http.StatusOK || call.Provider != "b" {
				t.Errorf("answered is %d %s by %s", w.Code, w.Body, call.Provider)
			}
			b.send = a.send
			if w, _ := chat(t, p, question, gatewayWrote); w.Code < 500 {
				t.Errorf("where all refuse, answered is %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestATemperatureThatADialectDoesNotHaveIsBroughtIntoItsBounds(t *testing.T) {
	p, a, _ := newProxyWith(t, mixed, `{}`)
	a.send = replying(func() *gateway.Reply { return whole(message) })
	w, _ := chat(t, p, question, gatewayWrote)
	if w.Code != http.StatusOK || len(a.sent) != 1 || gjson.GetBytes(a.sent[0].Body, "temperature").Num != 1 {
		t.Errorf("answered is %d %s; sent %s", w.Code, w.Body, a.sent[0].Body)
	}
}

func TestTargetsOfProvidersThatAreUnavailableAreAskedLast(t *testing.T) {
	p, _, _ := newProxy(t)
	route := p.app.RouteTo("both")
	up, _ := p.app.Upstream("a")
	for range 3 {
		up.Observe(&dialect.Error{Kind: dialect.Unavailable, Retryable: true})
	}
	first := func(route *gateway.Route) string { return plan(route, func(int64) int64 { return 0 })[0].Provider }
	if got := first(route); got != "a" {
		t.Errorf("a model of the config is asked at %s first", got)
	}
	ready := *route
	ready.AvailableFirst = true
	if got := first(&ready); got != "b" || route.Targets[0].Provider != "a" {
		t.Errorf("%s is asked first", got)
	}
	up.Observe(nil)
	if got := first(&ready); got != "a" {
		t.Errorf("once it answers again, %s is asked first", got)
	}
}
