package vertex

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/anthropicapi"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/geminiapi"
)

// version is Vertex AI's name for the version of Anthropic's API.
const version = "vertex-2023-10-16"

// Send makes one attempt.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	if p.Publisher == Anthropic {
		return p.sendAnthropic(ctx, attempt)
	}
	if attempt.Operation == dialect.Embeddings {
		return nil, dialect.Errorf(dialect.InvalidRequest, "a vertex provider makes no embeddings; ask a model of a gemini provider")
	}
	model := strings.TrimPrefix(attempt.Model, "models/")
	ref, err := geminiapi.Ref("models/"+model, attempt)
	if err != nil {
		return nil, err
	}
	return p.client.Send(ctx, ref, geminiapi.Body(p.parent()+"/models/"+model, attempt), attempt, &googleFormat)
}

// sendAnthropic asks one of Anthropic's models, which have the model in the address. Tokens are counted by a model of its own, which is
// told the model in the body.
func (p *Provider) sendAnthropic(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	ref := "/models/" + url.PathEscape(attempt.Model)
	edit := dialect.Edit{Name: "model"}
	switch {
	case attempt.Operation == dialect.CountTokens:
		ref = "/models/count-tokens:rawPredict"
		edit.Value = dialect.String(nil, attempt.Model)
	case attempt.Operation != dialect.Chat:
		return nil, dialect.Errorf(dialect.InvalidRequest, "Anthropic's models have no operation %q; ask a model of another provider", attempt.Operation)
	case attempt.Stream:
		ref += ":streamRawPredict"
	default:
		ref += ":rawPredict"
	}
	return p.client.Send(ctx, ref, anthropicapi.Versioned(attempt, version, edit), attempt, &anthropicFormat)
}

// googleFormat and anthropicFormat are how the publishers' models answer. Whatever Vertex AI itself refuses, it refuses in Google's words.
var (
	googleFormat    = formatOf(geminiapi.Format)
	anthropicFormat = formatOf(anthropicapi.Format)
)

func formatOf(format exchange.Format) exchange.Format {
	own := format.ParseError
	format.ParseError = func(status int, header func(string) string, body []byte) error {
		if gjson.GetBytes(body, "type").Str == "error" {
			return own(status, header, body)
		}
		e := wire.ParseError(status, header, body)
		if e.Kind == dialect.NotFound && status == http.StatusNotFound { // all else in the address is the config's
			e.Kind = dialect.ModelNotFound
		}
		return e
	}
	return format
}
