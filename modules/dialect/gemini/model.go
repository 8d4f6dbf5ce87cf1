package gemini

import (
	"strconv"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// AppendModel appends the body that describes one model.
func AppendModel(dst []byte, m dialect.Model) []byte {
	dst = append(dst, '{')
	dst = dialect.String(dialect.Member(dst, "name"), Resource(m.ID))
	dst = dialect.String(dialect.Member(dst, "displayName"), m.ID)
	return append(dst, `,"supportedGenerationMethods":["generateContent","countTokens","embedContent","batchEmbedContents"]}`...)
}

// AppendModels appends the body that lists models, all on one page.
func AppendModels(dst []byte, models []dialect.Model) []byte {
	dst = append(dst, `{"models":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, m)
	}
	return append(dst, "]}"...)
}

// AppendCount appends the answer to the question how many tokens a prompt is.
func AppendCount(dst []byte, tokens int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"totalTokens":`...), tokens, 10), '}')
}

// Resource is a model's name as Google's API has it: models/x, or tunedModels/x, which are named in full.
func Resource(model string) string {
	if strings.HasPrefix(model, "models/") || strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + model
}

// ModelEdits put a model's name wherever a body may name one beside the address.
func ModelEdits(body []byte, resource string) []dialect.Edit {
	name := dialect.String(nil, resource)
	var edits []dialect.Edit
	for member, value := range dialect.Members(body) {
		edit := dialect.Edit{Name: string(member)}
		switch string(camel(member)) {
		case "model":
			edit.Value = name
		case "generateContentRequest": // of countTokens
			edit.Value = dialect.Set(value, "model", name)
		case "requests": // of batchEmbedContents
			edit.Value = []byte{'['}
			for request := range dialect.Elements(list(value)) {
				edit.Value = append(dialect.Element(edit.Value), dialect.Set(request, "model", name)...)
			}
			edit.Value = append(edit.Value, ']')
		default:
			continue
		}
		edits = append(edits, edit)
	}
	return edits
}
