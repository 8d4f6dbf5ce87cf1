package anthropic

import (
	"strconv"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// AppendModel appends the body that describes one model.
func AppendModel(dst []byte, m dialect.Model) []byte {
	dst = append(dst, '{')
	dst = dialect.TextMember(dst, "type", "model")
	dst = dialect.String(dialect.Member(dst, "id"), m.ID)
	dst = dialect.String(dialect.Member(dst, "display_name"), m.ID)
	dst = append(dialect.Member(dst, "created_at"), '"')
	dst = time.Unix(m.Created, 0).UTC().AppendFormat(dst, time.RFC3339)
	return append(dst, '"', '}')
}

// AppendModels appends the body that lists models, all on one page.
func AppendModels(dst []byte, models []dialect.Model) []byte {
	dst = append(dst, `{"data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, m)
	}
	dst = append(dst, `],"has_more":false,"first_id":`...)
	if len(models) == 0 {
		return append(dst, `null,"last_id":null}`...)
	}
	dst = dialect.String(dst, models[0].ID)
	dst = dialect.String(append(dst, `,"last_id":`...), models[len(models)-1].ID)
	return append(dst, '}')
}

// AppendCount appends the answer to the question how many tokens a prompt is.
func AppendCount(dst []byte, tokens int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"input_tokens":`...), tokens, 10), '}')
}
