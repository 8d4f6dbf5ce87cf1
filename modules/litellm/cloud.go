package litellm

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// param is a member of litellm_params that says where a cloud has its models, or by which credential they are asked.
type param struct {
	option string
	kind   paramKind
}

type paramKind int

const (
	literal paramKind = iota // its value is an option's, as it stands
	dynamic                  // and may be a placeholder
	secret                   // it is always a placeholder
	file                     // it is the path of a file with a secret, or the secret itself
)

var (
	azureParams = map[string]param{
		"api_version":    {"api_version", literal},
		"azure_ad_token": {"token", secret},
	}
	bedrockParams = map[string]param{
		"aws_region_name":       {"region", dynamic},
		"aws_profile_name":      {"profile", literal},
		"aws_access_key_id":     {"access_key_id", secret},
		"aws_secret_access_key": {"secret_access_key", secret},
		"aws_session_token":     {"session_token", secret},
	}
	vertexParams = map[string]param{
		"vertex_project":     {"project", dynamic},
		"vertex_location":    {"location", dynamic},
		"vertex_credentials": {"credentials_file", file},
	}
)

// runtimeEndpoint is what LiteLLM calls an address of Bedrock's.
const runtimeEndpoint = "aws_bedrock_runtime_endpoint"

// place is where a model of LiteLLM's is here.
type place struct {
	model   string // by the provider's own name
	options string // of the provider, as lines of a Caddyfile
}

// azurePlace knows the deployment behind the words that tell LiteLLM what kind of model it is.
func azurePlace(own string) (place, bool) {
	for _, kind := range []string{"o_series/", "gpt5_series/", "responses/"} {
		own = strings.TrimPrefix(own, kind)
	}
	return place{model: own}, true
}

// awsRegion is a region that stands before a model.
var awsRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d/`)

// bedrockPlace knows Anthropic's models behind the words that tell LiteLLM which API of Bedrock to ask.
func bedrockPlace(own string) (place, bool) {
	for _, api := range []string{"converse/", "converse_like/", "invoke/"} {
		own = strings.TrimPrefix(own, api)
	}
	region := awsRegion.FindString(own)
	p := place{model: strings.TrimPrefix(own, region)}
	if region != "" {
		p.options = "region " + strings.TrimSuffix(region, "/") + "\n"
	}
	return p, strings.Contains(p.model, "anthropic.")
}

// vertexPlace knows the models of two publishers by their names.
func vertexPlace(own string) (place, bool) {
	if strings.HasPrefix(own, "claude") {
		return place{own, "publisher anthropic\n"}, true
	}
	return place{model: own}, strings.HasPrefix(own, "gemini") || strings.HasPrefix(own, "gemma")
}

// cloud reads the members of litellm_params that are a cloud's, into options of its provider. The rest is given back.
func (im *importer) cloud(name member, prefix string, p *provider, params []member) (rest []member) {
	for _, m := range params {
		to, ok := vendors[prefix].params[m.name]
		switch {
		case !ok && strings.HasPrefix(m.name, "aws_") && m.name != runtimeEndpoint:
			im.notes.add(m.line, "%s: %s has no counterpart and is left out; profiles of AWS's shared config files can take on roles", name.text(), m.name)
		case !ok:
			rest = append(rest, m)
		case p.says(to.option):
			im.notes.add(m.line, "%s: %s is left out: the model says it too", name.text(), m.name)
		default:
			if value := im.option(name, prefix, m, to); value != "" {
				p.options += to.option + " " + value + "\n"
			}
		}
	}
	switch {
	case p.module == "bedrock" && !p.says("region"):
		im.variable("AWS_REGION", "the region of "+prefix+", unless AWS's shared config files have it")
	case p.module == "vertex" && !p.says("project"):
		im.variable("GOOGLE_CLOUD_PROJECT", "the project of "+prefix+", unless the credential's file has it")
	}
	return rest
}

// says tells whether a provider has an option.
func (p *provider) says(option string) bool { return strings.Contains("\n"+p.options, "\n"+option+" ") }

// option is the value of a provider's option; "" where there is none, which a note then says.
func (im *importer) option(name member, prefix string, m member, to param) string {
	text := m.text()
	variable, named := strings.CutPrefix(text, environ)
	what := "the " + to.option + " of " + prefix
	switch {
	case to.kind == file && (strings.HasPrefix(strings.TrimSpace(text), "{") || m.value.Kind == yaml.MappingNode):
		variable = im.fresh(prefix, "CREDENTIALS_FILE")
		im.notes.add(m.line, "%s: the credential stands in the file itself; it is not copied: put it into a file, and set %s to its path", name.text(), variable)
	case to.kind == file && named:
		im.notes.add(m.line, "%s: %s is to be the path of a file here, not what is in it", name.text(), variable)
		what = "the path of the credential's file of " + prefix
	case to.kind == secret && !named && text != "":
		variable = im.literal(m, prefix, strings.ToUpper(to.option))
	case named && to.kind == literal:
		im.notes.add(m.line, "%s: %s is left out: it cannot come from the environment; write it into the Caddyfile", name.text(), m.name)
		return ""
	case named:
	case text == "" || !writable(text):
		im.notes.add(m.line, "%s: %s is left out: it is no plain text", name.text(), m.name)
		return ""
	case to.option == "api_version" && !datedVersion.MatchString(text):
		im.notes.add(m.line, "%s: api_version %s is Azure's v1 API here", name.text(), text)
		return ""
	default:
		return token(text)
	}
	im.variable(variable, what)
	return "{env." + variable + "}"
}

// datedVersion is a version of Azure's API that has a date.
var datedVersion = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-preview)?$`)
