package openai

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// AppendModel appends the body that describes one model.
func AppendModel(dst []byte, m dialect.Model) []byte {
	dst = append(dst, `{"id":`...)
	dst = dialect.String(dst, m.ID)
	dst = append(dst, `,"object":"model","created":`...)
	dst = strconv.AppendInt(dst, m.Created, 10)
	dst = append(dst, `,"owned_by":`...)
	dst = dialect.String(dst, m.OwnedBy)
	return append(dst, '}')
}

// AppendModels appends the body that lists models.
func AppendModels(dst []byte, models []dialect.Model) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, m)
	}
	return append(dst, "]}"...)
}
