package openai

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// listTimeout bounds how long the server may take to list its models.
const listTimeout = 5 * time.Second

// maxList bounds the list of models, in bytes. Those of routers with hundreds of models come near a megabyte.
const maxList = 8 << 20

// Models lists the configured models, else those that the server names, those that can chat first.
func (p *Provider) Models(ctx context.Context) ([]gateway.ProviderModel, error) {
	if len(p.Names) > 0 {
		models := make([]gateway.ProviderModel, len(p.Names))
		for i, name := range p.Names {
			models[i] = gateway.ProviderModel{ID: name}
		}
		return models, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	base := p.base()
	u := *base
	u.Path += "/models"
	req := (&http.Request{Method: http.MethodGet, URL: &u, Host: base.Host, Header: make(http.Header)}).WithContext(ctx)
	resp, err := p.roundTrip(req)
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
		return nil, wire.ParseError(resp.StatusCode, resp.Header.Get, body)
	}
	if !gjson.ValidBytes(body) {
		return nil, &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's list of models is not valid JSON", Retryable: true}
	}
	var models []gateway.ProviderModel
	gjson.GetBytes(body, "data").ForEach(func(_, m gjson.Result) bool {
		if id := m.Get("id").Str; id != "" {
			models = append(models, gateway.ProviderModel{ID: id, Created: m.Get("created").Int(), OwnedBy: m.Get("owned_by").Str})
		}
		return true
	})
	slices.SortStableFunc(models, func(a, b gateway.ProviderModel) int { return chatRank(a.ID) - chatRank(b.ID) })
	return models, nil
}

// chatRank puts the models last whose names say that they do something other than chat.
func chatRank(id string) int {
	for _, other := range []string{"embed", "whisper", "tts", "dall-e", "image", "moderation", "audio", "realtime", "transcribe", "rerank", "davinci", "babbage", "sora"} {
		if strings.Contains(strings.ToLower(id), other) {
			return 1
		}
	}
	return 0
}
