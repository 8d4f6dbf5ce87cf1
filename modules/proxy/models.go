package proxy

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// listTimeout bounds how long one provider may hold up the list of models.
const listTimeout = 5 * time.Second

// modelShape writes models as a surface has them.
type modelShape struct {
	one  func(dst []byte, m dialect.Model) []byte
	list func(dst []byte, models []dialect.Model) []byte
}

var modelShapes = map[*gateway.Surface]modelShape{
	gateway.ModelsList:     {openai.AppendModel, openai.AppendModels},
	gateway.MessagesModels: {anthropic.AppendModel, anthropic.AppendModels},
	gateway.ContentModels:  {gemini.AppendModel, gemini.AppendModels},
}

// serveModels answers /v1/models and /v1/models/{model}, and the same below /v1beta, with the models that the key may use.
func (p *Proxy) serveModels(w http.ResponseWriter, r *http.Request, call *gateway.Call, shape modelShape) error {
	models, err := p.models(r.Context())
	if err != nil {
		return call.Fail(w, r, err)
	}
	allowed := models[:0]
	for _, m := range models {
		if p.mayList(call.Key, m.ID) {
			allowed = append(allowed, m)
		}
	}
	_, name, _ := strings.Cut(r.URL.Path, "/models")
	name = strings.Trim(name, "/")
	if name == "" {
		return call.ServeBody(w, shape.list(nil, allowed))
	}
	for _, m := range allowed {
		if m.ID == name {
			return call.ServeBody(w, shape.one(nil, m))
		}
	}
	return call.Fail(w, r, dialect.Errorf(dialect.ModelNotFound, "the model does not exist here, or this key may not use it; GET /v1/models lists those that do"))
}

// mayList says whether a key may know of a model: whether it may ask it.
func (p *Proxy) mayList(key *gateway.Key, name string) bool {
	if key == nil {
		return true
	}
	route := p.app.RouteTo(name)
	return route != nil && key.MayAsk(name, route)
}

// models lists the config's models, with their aliases and what the providers list of their patterns, then the providers' own, each name once. A provider that cannot list now is left out;
// where none can, that is the answer.
func (p *Proxy) models(ctx context.Context) ([]dialect.Model, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	lists := make([][]gateway.ProviderModel, len(p.app.Upstreams))
	errs := make([]error, len(p.app.Upstreams))
	var wg sync.WaitGroup
	for i, up := range p.app.Upstreams {
		wg.Go(func() {
			if lists[i], errs[i] = up.Provider.Models(ctx); errs[i] != nil {
				p.log.Warn("listing models", zap.String("provider", up.Name), zap.Error(errs[i]))
			}
		})
	}
	wg.Wait()

	seen := make(map[string]bool)
	models := make([]dialect.Model, 0, 16)
	add := func(m dialect.Model) {
		if !seen[m.ID] {
			seen[m.ID] = true
			models = append(models, m)
		}
	}
	for i, up := range p.app.Upstreams {
		for j := range lists[i] {
			lists[i][j].OwnedBy = cmp.Or(lists[i][j].OwnedBy, up.Name)
		}
	}
	for _, m := range p.app.Models {
		if !m.IsPattern() {
			add(dialect.Model{ID: m.Name, OwnedBy: "gateway"})
			for _, alias := range m.Aliases {
				add(dialect.Model{ID: alias, OwnedBy: "gateway"})
			}
			continue
		}
		for i, up := range p.app.Upstreams {
			for _, listed := range lists[i] {
				for _, name := range p.app.NamesOf(m, up, listed.ID) {
					add(dialect.Model{ID: name, Created: listed.Created, OwnedBy: listed.OwnedBy})
				}
			}
		}
	}
	for i := range p.app.Upstreams {
		for _, m := range lists[i] {
			add(dialect.Model{ID: m.ID, Created: m.Created, OwnedBy: m.OwnedBy})
		}
	}
	if len(models) == 0 {
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
	}
	return models, nil
}
