package gateway

import (
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Surface is one thing that clients can ask of the gateway: a path with its shape of bodies and errors.
type Surface struct {
	// Name labels the surface in metrics and logs.
	Name string
	// Dialect is the shape of bodies and errors.
	Dialect dialect.Name
	// Operation is what the surface asks of a model; "" where it asks none.
	Operation dialect.Operation
	// Method is the only method that the surface takes; "" where its handler decides.
	Method string
}

// The surfaces.
var (
	ChatCompletions = &Surface{Name: "chat_completions", Dialect: dialect.OpenAI, Operation: dialect.Chat, Method: http.MethodPost}
	ResponsesCreate = &Surface{Name: "responses", Dialect: dialect.Responses, Operation: dialect.Chat, Method: http.MethodPost}
	// ResponsesStored is all that the API offers to do with answers that a provider has stored. The gateway has none of it.
	ResponsesStored  = &Surface{Name: "other", Dialect: dialect.Responses}
	EmbeddingsCreate = &Surface{Name: "embeddings", Dialect: dialect.OpenAI, Operation: dialect.Embeddings, Method: http.MethodPost}
	ModelsList       = &Surface{Name: "models", Dialect: dialect.OpenAI, Method: http.MethodGet}
	MessagesCreate   = &Surface{Name: "messages", Dialect: dialect.Anthropic, Operation: dialect.Chat, Method: http.MethodPost}
	MessagesCount    = &Surface{Name: "count_tokens", Dialect: dialect.Anthropic, Operation: dialect.CountTokens, Method: http.MethodPost}
	MessagesModels   = &Surface{Name: "models", Dialect: dialect.Anthropic, Method: http.MethodGet}
	AnalyzePrompt    = &Surface{Name: "analyze", Dialect: dialect.Analyze, Operation: dialect.Chat, Method: http.MethodPost}
	AnalyzeProviders = &Surface{Name: "analyze_providers", Dialect: dialect.Analyze, Method: http.MethodGet}
	AnalyzeStats     = &Surface{Name: "analyze_cache_stats", Dialect: dialect.Analyze, Method: http.MethodGet}
	KeysAdmin        = &Surface{Name: "api_keys", Dialect: dialect.Analyze}
	TeamsAdmin       = &Surface{Name: "teams", Dialect: dialect.Analyze}
	Health           = &Surface{Name: "health", Dialect: dialect.Analyze, Method: http.MethodGet}
	Other            = &Surface{Name: "other", Dialect: dialect.OpenAI}
	otherMessages    = &Surface{Name: "other", Dialect: dialect.Anthropic}
	otherAnalyze     = &Surface{Name: "other", Dialect: dialect.Analyze}
)

var surfaces = map[string]*Surface{
	"/v1/chat/completions":      ChatCompletions,
	"/v1/responses":             ResponsesCreate,
	"/v1/embeddings":            EmbeddingsCreate,
	"/v1/models":                ModelsList,
	"/v1/messages":              MessagesCreate,
	"/v1/messages/count_tokens": MessagesCount,
	"/v1/analyze":               AnalyzePrompt,
	"/v1/analyze/providers":     AnalyzeProviders,
	"/v1/analyze/cache/stats":   AnalyzeStats,
	"/v1/health":                Health,
	"/v1/ready":                 Health,
	"/v1/live":                  Health,
	"/v1/metrics":               Health,
}

// surfaceOf finds the surface of a request. Two of them share the paths of the models, and every client of Anthropic's API
// says so in a header.
func surfaceOf(r *http.Request) *Surface {
	s := SurfaceOf(r.URL.Path)
	if _, ok := r.Header["Anthropic-Version"]; ok {
		switch s {
		case ModelsList:
			return MessagesModels
		case Other:
			return otherMessages
		}
	}
	return s
}

// SurfaceOf finds the surface of a path, with or without a slash at its end. Where there is none it returns Other, or
// a stand-in of it whose errors have the shape of the nearest surface.
func SurfaceOf(path string) *Surface {
	if n := len(path) - 1; n > 0 && path[n] == '/' {
		path = path[:n]
	}
	if s, ok := surfaces[path]; ok {
		return s
	}
	switch {
	case strings.HasPrefix(path, "/v1/models/"):
		return ModelsList
	case strings.HasPrefix(path, azurePrefix):
		return azureSurface(path)
	case path == "/v1/api-keys" || strings.HasPrefix(path, "/v1/api-keys/"):
		return KeysAdmin
	case path == "/v1/teams" || strings.HasPrefix(path, "/v1/teams/"):
		return TeamsAdmin
	case strings.HasPrefix(path, "/v1/responses/"):
		return ResponsesStored
	case strings.HasPrefix(path, "/v1/messages/"):
		return otherMessages
	case strings.HasPrefix(path, "/v1/analyze/"):
		return otherAnalyze
	}
	return Other
}
