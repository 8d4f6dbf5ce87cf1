package proxy

import (
	"context"
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A call with a body that the gateway wrote, as those of structured prompts are, is answered by whatever provider can: what one of them
// does not take is left out for it, and its refusal is not the client's fault.

// policy is what may become of a call's body on its way into other dialects.
func (p *Proxy) policy(call *gateway.Call) dialect.Policy {
	return dialect.Policy{Drop: p.OnUnsupported == Drop || call.Native != nil, PromptSchemas: true}
}

// send asks a provider. Where the gateway wrote the body and the model takes no temperature, it asks once more without one, and knows
// that for the next time.
func (p *Proxy) send(ctx context.Context, call *gateway.Call, target *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	provider := target.Upstream().Provider
	if call.Native == nil || !gjson.GetBytes(a.Body, temperature).Exists() {
		return provider.Send(ctx, a)
	}
	name := target.Provider + "/" + target.Model
	_, known := p.untempered.Load(name)
	if !known {
		if reply, err := provider.Send(ctx, a); !refusesTemperature(err) {
			return reply, err
		}
	}
	without := *a
	without.Body = dialect.Splice(make([]byte, 0, len(a.Body)), a.Body, dialect.Edit{Name: temperature})
	reply, err := provider.Send(ctx, &without)
	if !known && err == nil && gjson.GetBytes(a.Body, temperature).Num <= 1 { // a higher one may be refused by a model that takes others
		p.untempered.Store(name, true)
	}
	return reply, err
}

// temperature is the member's name in the dialects whose models may refuse it.
const temperature = "temperature"

func refusesTemperature(err error) bool {
	var e *dialect.Error
	return errors.As(err, &e) && e.Kind == dialect.InvalidRequest && (e.Field == temperature || strings.Contains(e.Message, temperature))
}

// blameless turns a provider's refusal of a body that the gateway wrote into what it is for the client: a failure behind the gateway,
// which another provider may mend.
func blameless(call *gateway.Call, err error) error {
	var e *dialect.Error
	if call.Native == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case dialect.InvalidRequest, dialect.NotFound, dialect.ModelNotFound, dialect.TooLarge:
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider refused the call: " + e.Message, Cause: err}
	}
	return err
}

// ours is what a failure is for the client where the gateway wrote the body: a provider's limit is not the client's own.
func ours(call *gateway.Call, err error) error {
	var e *dialect.Error
	if call.Native == nil || !errors.As(err, &e) || e.Kind != dialect.RateLimit {
		return blameless(call, err)
	}
	return &dialect.Error{Kind: dialect.Unavailable, Message: e.Message, RetryAfter: e.RetryAfter, Cause: err}
}
