// Package demo is a provider that needs no network and no credential: it makes up its answers on the spot.
// It lets the gateway be tried out, tested under load and measured. What it says is a function of the
// request alone, and says that it is a demo's.
package demo

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	caddy.RegisterModule(new(Provider))
}

// The provider's models.
const (
	chatModel      = "demo"
	embeddingModel = "demo-embedding"
)

// defaultWords is how long plain text answers are where the config does not say.
const defaultWords = 24

// Provider answers offline, in the shape of OpenAI's API.
type Provider struct {
	// Delay is how long to wait before the first byte of an answer. Default: 0.
	Delay caddy.Duration `json:"delay,omitempty"`
	// Pace is how long to wait between two events of a stream. Default: 0.
	Pace caddy.Duration `json:"pace,omitempty"`
	// Words is the length of plain text answers in words. Default: 24.
	Words int `json:"words,omitempty"`
	// Failures are injected on purpose; of those that are due for a call, the first is taken. Default: none.
	Failures []Failure `json:"failures,omitempty"`

	calls atomic.Int64
	now   func() time.Time
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "llm_gateway.providers.demo",
		New: func() caddy.Module { return new(Provider) },
	}
}

// Provision fills in the defaults.
func (p *Provider) Provision(caddy.Context) error {
	if p.Words == 0 {
		p.Words = defaultWords
	}
	for i := range p.Failures {
		if p.Failures[i].Every == 0 {
			p.Failures[i].Every = 1
		}
	}
	p.now = time.Now
	return nil
}

// Validate checks the config.
func (p *Provider) Validate() error {
	if p.Delay < 0 || p.Pace < 0 {
		return fmt.Errorf("delay and pace must not be negative")
	}
	if p.Words < 0 {
		return fmt.Errorf("words must be at least 1, not %d", p.Words)
	}
	for _, f := range p.Failures {
		if err := f.validate(); err != nil {
			return err
		}
	}
	return nil
}

// Send answers a chat completion or an embeddings request.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	failure := p.dueFailure()
	if failure == stall {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := pause(ctx, nil, time.Duration(p.Delay)); err != nil {
		return nil, err
	}
	if status := failure.status(); status != 0 {
		return nil, statusError(status)
	}
	if err := checkModel(attempt); err != nil {
		return nil, err
	}

	if attempt.Operation == dialect.Embeddings {
		return embed(ctx, attempt.Body, failure)
	}
	req, err := parseChat(attempt.Body)
	if err != nil {
		return nil, err
	}
	comp, err := p.complete(req)
	if err != nil {
		return nil, err
	}
	if attempt.Stream {
		return &gateway.Reply{Stream: newStream(ctx, comp, time.Duration(p.Pace), attempt.WantUsage, failure)}, nil
	}
	return wholeReply(comp.appendWhole(nil), comp.usage(), failure)
}

// wholeReply gives an answer that is not streamed, unless a failure spoils it.
func wholeReply(body []byte, usage dialect.Usage, failure failureKind) (*gateway.Reply, error) {
	switch failure {
	case disconnect:
		return nil, disconnectError(true)
	case malformed:
		return &gateway.Reply{Body: body[:len(body)/2]}, nil
	}
	return &gateway.Reply{Body: body, Usage: usage}, nil
}

// checkModel refuses models that are not there, and operations that the model cannot do.
func checkModel(attempt *gateway.Attempt) error {
	var able string
	switch attempt.Operation {
	case dialect.Chat:
		able = chatModel
	case dialect.Embeddings:
		able = embeddingModel
	default:
		return dialect.Errorf(dialect.InvalidRequest, "the demo provider does not know the operation %q", attempt.Operation)
	}
	switch attempt.Model {
	case able:
		return nil
	case chatModel, embeddingModel:
		return invalid("model", "the model %s does not do %s: ask for %s", attempt.Model, attempt.Operation, able)
	}
	err := dialect.Errorf(dialect.ModelNotFound, "the demo provider has no model %q: ask for %s", attempt.Model, able)
	err.Field = "model"
	return err
}

// pause waits, unless the context ends first, or closed is closed.
func pause(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return errClosed
	}
}

// Dialect is OpenAI's.
func (*Provider) Dialect() dialect.Name { return dialect.OpenAI }

// models has no creation date: the demo's models are as old as the binary.
var models = []gateway.ProviderModel{
	{ID: chatModel, OwnedBy: "demo"},
	{ID: embeddingModel, OwnedBy: "demo"},
}

// Models lists the demo's models.
func (*Provider) Models(context.Context) ([]gateway.ProviderModel, error) {
	return slices.Clone(models), nil
}

// Serves knows the demo's own models only.
func (*Provider) Serves(model string) bool { return model == chatModel || model == embeddingModel }

// NamesModel says whether metrics may name a model.
func (p *Provider) NamesModel(model string) bool { return p.Serves(model) }

// DefaultModel is the chat model.
func (*Provider) DefaultModel() string { return chatModel }

// Interface guards.
var (
	_ gateway.Provider   = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
)
