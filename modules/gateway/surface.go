package gateway

import (
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
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
	// Needs is what a provider must have to be asked.
	Needs Capability
	// Passed says that requests and answers are passed on as they are, of whatever type. No cache keeps them.
	Passed bool
}

// The surfaces.
var (
	ChatCompletions = &Surface{Name: "chat_completions", Dialect: dialect.OpenAI, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanChat}
	ResponsesCreate = &Surface{Name: "responses", Dialect: dialect.Responses, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanResponses}
	// ResponsesStored is all that the API offers to do with answers that a provider has stored. The gateway has none of it.
	ResponsesStored  = &Surface{Name: "other", Dialect: dialect.Responses}
	EmbeddingsCreate = &Surface{Name: "embeddings", Dialect: dialect.OpenAI, Operation: dialect.Embeddings, Method: http.MethodPost, Needs: CanEmbeddings}
	ModelsList       = &Surface{Name: "models", Dialect: dialect.OpenAI, Method: http.MethodGet}
	MessagesCreate   = &Surface{Name: "messages", Dialect: dialect.Anthropic, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanChat}
	MessagesCount    = &Surface{Name: "count_tokens", Dialect: dialect.Anthropic, Operation: dialect.CountTokens, Method: http.MethodPost, Needs: CanChat}
	MessagesModels   = &Surface{Name: "models", Dialect: dialect.Anthropic, Method: http.MethodGet}
	ContentGenerate  = &Surface{Name: "generate_content", Dialect: dialect.Gemini, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanChat}
	ContentStream    = &Surface{Name: "generate_content", Dialect: dialect.Gemini, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanChat}
	ContentCount     = &Surface{Name: "count_tokens", Dialect: dialect.Gemini, Operation: dialect.CountTokens, Method: http.MethodPost, Needs: CanChat}
	ContentEmbed     = &Surface{Name: "embed_content", Dialect: dialect.Gemini, Operation: dialect.Embeddings, Method: http.MethodPost, Needs: CanEmbeddings}
	ContentModels    = &Surface{Name: "models", Dialect: dialect.Gemini, Method: http.MethodGet}
	AnalyzePrompt    = &Surface{Name: "analyze", Dialect: dialect.Analyze, Operation: dialect.Chat, Method: http.MethodPost, Needs: CanChat}
	AnalyzeProviders = &Surface{Name: "analyze_providers", Dialect: dialect.Analyze, Method: http.MethodGet}
	AnalyzeStats     = &Surface{Name: "analyze_cache_stats", Dialect: dialect.Analyze, Method: http.MethodGet}
	KeysAdmin        = &Surface{Name: "api_keys", Dialect: dialect.Analyze}
	TeamsAdmin       = &Surface{Name: "teams", Dialect: dialect.Analyze}
	Health           = &Surface{Name: "health", Dialect: dialect.Analyze, Method: http.MethodGet}
	Other            = &Surface{Name: "other", Dialect: dialect.OpenAI}
	otherMessages    = &Surface{Name: "other", Dialect: dialect.Anthropic}
	otherContent     = &Surface{Name: "other", Dialect: dialect.Gemini}
	otherAnalyze     = &Surface{Name: "other", Dialect: dialect.Analyze}

	Completions     = passed("completions", dialect.TextCompletion, CanCompletions)
	ImagesGenerate  = passed("images_generations", dialect.ImageGeneration, CanImages)
	ImagesEdit      = passed("images_edits", dialect.ImageEdit, CanImages)
	ImagesVary      = passed("images_variations", dialect.ImageVariation, CanImages)
	AudioSpeech     = passed("audio_speech", dialect.Speech, CanAudio)
	AudioTranscribe = passed("audio_transcriptions", dialect.Transcription, CanAudio)
	AudioTranslate  = passed("audio_translations", dialect.Translation, CanAudio)
	Moderations     = passed("moderations", dialect.Moderation, CanModerations)
	Files           = &Surface{Name: "files", Dialect: dialect.OpenAI, Operation: dialect.Files, Needs: CanFiles, Passed: true}
)

// passed is a surface of OpenAI's API that is passed on to providers that have it.
func passed(name string, operation dialect.Operation, needs Capability) *Surface {
	return &Surface{Name: name, Dialect: dialect.OpenAI, Operation: operation, Method: http.MethodPost, Needs: needs, Passed: true}
}

var surfaces = map[string]*Surface{
	"/v1/chat/completions":      ChatCompletions,
	"/v1/responses":             ResponsesCreate,
	"/v1/embeddings":            EmbeddingsCreate,
	"/v1/models":                ModelsList,
	"/v1/completions":           Completions,
	"/v1/images/generations":    ImagesGenerate,
	"/v1/images/edits":          ImagesEdit,
	"/v1/images/variations":     ImagesVary,
	"/v1/audio/speech":          AudioSpeech,
	"/v1/audio/transcriptions":  AudioTranscribe,
	"/v1/audio/translations":    AudioTranslate,
	"/v1/moderations":           Moderations,
	"/v1/files":                 Files,
	"/v1/messages":              MessagesCreate,
	"/v1/messages/count_tokens": MessagesCount,
	"/v1beta/models":            ContentModels,
	"/v1/analyze":               AnalyzePrompt,
	"/v1/analyze/providers":     AnalyzeProviders,
	"/v1/analyze/cache/stats":   AnalyzeStats,
	"/v1/health":                Health,
	"/v1/ready":                 Health,
	"/v1/live":                  Health,
	"/v1/metrics":               Health,
}

// methods are the surfaces of what Google's API has a model do.
var methods = map[string]*Surface{
	gemini.MethodGenerate:   ContentGenerate,
	gemini.MethodStream:     ContentStream,
	gemini.MethodCount:      ContentCount,
	gemini.MethodEmbed:      ContentEmbed,
	gemini.MethodEmbedBatch: ContentEmbed,
}

// surfaceOf finds the surface of a request. Three of them share the paths of the models, two those of files: every client of Anthropic's API says so in
// a header, and one of Google's, which may have been told its version v1, by where it puts its key.
func surfaceOf(r *http.Request) *Surface {
	s := SurfaceOf(r.URL.Path)
	_, anthropic := r.Header["Anthropic-Version"]
	switch s {
	case ModelsList:
		switch {
		case anthropic:
			return MessagesModels
		case keyedAsGoogles(r):
			return ContentModels
		}
	case Other, Files:
		switch {
		case anthropic:
			return otherMessages
		case keyedAsGoogles(r):
			return otherContent
		}
	case ContentModels:
		if r.Method == http.MethodPost { // a method that the gateway does not know
			return otherContent
		}
	}
	return s
}

// keyedAsGoogles says whether a request has its key where clients of Google's API put it.
func keyedAsGoogles(r *http.Request) bool {
	_, ok := r.Header["X-Goog-Api-Key"]
	return ok || strings.Contains(r.URL.RawQuery, "key=") && r.URL.Query().Has("key")
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
	case strings.HasPrefix(path, "/v1/models/"), strings.HasPrefix(path, "/v1beta/models/"):
		if _, method, ok := gemini.SplitMethod(path); ok {
			return methods[method]
		}
		if strings.HasPrefix(path, "/v1beta/") {
			return ContentModels
		}
		return ModelsList
	case strings.HasPrefix(path, "/v1/files/"):
		return Files
	case strings.HasPrefix(path, azurePrefix):
		return azureSurface(path)
	case strings.HasPrefix(path+"/", "/v1beta/"):
		return otherContent
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
