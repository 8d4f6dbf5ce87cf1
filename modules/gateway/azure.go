package gateway

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// The paths that clients of Azure OpenAI ask. They lead to OpenAI's surfaces, so that such a client needs another address and key alone.
const (
	azurePrefix      = "/openai/"
	azureVersionOne  = "/openai/v1/"          // OpenAI's own paths below it
	azureDeployments = "/openai/deployments/" // the deployment, which is a model of ours, and what it is to do
)

// azureSurface finds the surface of a path of Azure's.
func azureSurface(path string) *Surface {
	if own, ok := strings.CutPrefix(path, azureVersionOne); ok {
		if s := SurfaceOf("/v1/" + own); s.Dialect == dialect.OpenAI || s.Dialect == dialect.Responses {
			return s
		}
		return Other
	}
	if _, s := deploymentOf(path); s != nil {
		return s
	}
	return Other
}

// deploymentOf takes the model out of a path that names it, with the surface of what it is to do; nil where the path is another. The
// model's name may have slashes in it, as in <provider>/<model>.
func deploymentOf(path string) (model string, s *Surface) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(path, "/"), azureDeployments)
	if !ok {
		return "", nil
	}
	if model, ok = strings.CutSuffix(rest, "/chat/completions"); ok && model != "" {
		return model, ChatCompletions
	}
	if model, ok = strings.CutSuffix(rest, "/embeddings"); ok && model != "" {
		return model, EmbeddingsCreate
	}
	return "", nil
}

// takeDeployment puts the model that a path names into the body, where it then is as in every call of OpenAI's API. Azure goes by the
// path, whatever the body says.
func (c *Call) takeDeployment(path string) {
	model, s := deploymentOf(path)
	if s == nil {
		return
	}
	edit := dialect.Edit{Name: "model", Value: dialect.String(nil, model)}
	if body := c.body.buf; dialect.Changes(body, edit) {
		c.body.buf = dialect.Splice(make([]byte, 0, len(body)+len(model)+16), body, edit)
	}
}
