package litellm

import "strings"

// vendor is how a provider of LiteLLM's is asked here.
type vendor struct {
	module string
	base   string // the address; "" for the module's own, or where the config has to give it
	key    string // the usual variable of its credential; "" where there is none
	suffix string // what LiteLLM adds to an api_base that this gateway is to be told
	hosted bool   // it is where the config says

	// Of clouds, what else says where models are and who asks, and how they name their models.
	params map[string]param
	place  func(own string) (place, bool)
}

// vendors are LiteLLM's providers by their prefix. Those that are not here are left to the operator.
var vendors = map[string]vendor{
	"openai":        {module: "openai", key: "OPENAI_API_KEY"},
	"anthropic":     {module: "anthropic", key: "ANTHROPIC_API_KEY"},
	"gemini":        {module: "gemini", key: "GEMINI_API_KEY"},
	"azure":         {module: "azure", key: "AZURE_API_KEY", hosted: true, params: azureParams, place: azurePlace},
	"bedrock":       {module: "bedrock", params: bedrockParams, place: bedrockPlace},
	"vertex_ai":     {module: "vertex", params: vertexParams, place: vertexPlace},
	"groq":          {module: "openai", base: "https://api.groq.com/openai/v1", key: "GROQ_API_KEY"},
	"mistral":       {module: "openai", base: "https://api.mistral.ai/v1", key: "MISTRAL_API_KEY"},
	"deepseek":      {module: "openai", base: "https://api.deepseek.com", key: "DEEPSEEK_API_KEY"},
	"openrouter":    {module: "openai", base: "https://openrouter.ai/api/v1", key: "OPENROUTER_API_KEY"},
	"together_ai":   {module: "openai", base: "https://api.together.xyz/v1", key: "TOGETHERAI_API_KEY"},
	"fireworks_ai":  {module: "openai", base: "https://api.fireworks.ai/inference/v1", key: "FIREWORKS_AI_API_KEY"},
	"xai":           {module: "openai", base: "https://api.x.ai/v1", key: "XAI_API_KEY"},
	"cerebras":      {module: "openai", base: "https://api.cerebras.ai/v1", key: "CEREBRAS_API_KEY"},
	"perplexity":    {module: "openai", base: "https://api.perplexity.ai", key: "PERPLEXITYAI_API_KEY"},
	"deepinfra":     {module: "openai", base: "https://api.deepinfra.com/v1/openai", key: "DEEPINFRA_API_KEY"},
	"nvidia_nim":    {module: "openai", base: "https://integrate.api.nvidia.com/v1", key: "NVIDIA_NIM_API_KEY"},
	"ollama":        {module: "openai", base: "http://localhost:11434/v1", suffix: "/v1"},
	"ollama_chat":   {module: "openai", base: "http://localhost:11434/v1", suffix: "/v1"},
	"hosted_vllm":   {module: "openai", hosted: true},
	"lm_studio":     {module: "openai", hosted: true},
	"llamafile":     {module: "openai", hosted: true},
	"custom_openai": {module: "openai", hosted: true},
	"litellm_proxy": {module: "openai", hosted: true},
	"openai_like":   {module: "openai", hosted: true},
}

// split takes a model of LiteLLM's apart into the provider's prefix and the provider's own name. A model without a prefix is OpenAI's or
// Anthropic's by its name.
func split(model, custom string) (prefix, name string) {
	if custom != "" {
		return custom, strings.TrimPrefix(model, custom+"/")
	}
	if prefix, name, ok := strings.Cut(model, "/"); ok {
		return prefix, name
	}
	if strings.HasPrefix(model, "claude") {
		return "anthropic", model
	}
	for _, begin := range []string{"gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-"} {
		if strings.HasPrefix(model, begin) {
			return "openai", model
		}
	}
	return "", model
}

// address is where a vendor is asked, for an api_base of LiteLLM's.
func (v vendor) address(base string) string {
	base = strings.TrimSuffix(base, "/")
	if base == "" {
		return v.base
	}
	if v.suffix != "" && !strings.HasSuffix(base, v.suffix) {
		base += v.suffix
	}
	return base
}
