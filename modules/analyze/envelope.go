package analyze

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// appendAnswer appends the form in which an accepted answer is kept: its data, the model's own text, and whether the
// data was checked. The envelope around it differs from call to call and is never kept.
func appendAnswer(dst, data []byte, text string) []byte {
	if dst == nil {
		dst = make([]byte, 0, 64+len(data)+len(text)+len(text)/4)
	}
	dst = append(dst, `{"data":`...)
	dst = append(dst, data...)
	dst = append(dst, `,"raw":`...)
	dst = dialect.String(dst, text)
	return append(dst, `,"validated":true}`...)
}

// kept is an answer taken apart again. Its parts lie in the answer.
type kept struct{ data, raw, validated []byte }

var errNotKept = errors.New("reading a kept answer: it is not one of this surface")

func openAnswer(body []byte) (kept, error) {
	var k kept
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "data":
			k.data = value
		case "raw":
			k.raw = value
		case "validated":
			k.validated = value
		}
	}
	if k.data == nil || k.raw == nil || k.validated == nil {
		return k, errNotKept
	}
	return k, nil
}

// keepEnvelope is the largest buffer that goes back to the pool.
const keepEnvelope = 64 << 10

var envelopes = sync.Pool{New: func() any { return new(envelope) }}

type envelope struct{ buf []byte }

// deliver writes an answer in the surface's shape: see gateway.Call.Deliver.
func (a *analysis) deliver(w http.ResponseWriter, answer *gateway.Answer) error {
	parts, err := openAnswer(answer.Body)
	if err != nil {
		return err
	}
	e := envelopes.Get().(*envelope)
	e.buf = a.appendEnvelope(e.buf[:0], parts, answer, time.Now())
	err = a.call.ServeBody(w, e.buf)
	if cap(e.buf) <= keepEnvelope {
		envelopes.Put(e)
	}
	return err
}

func (a *analysis) appendEnvelope(dst []byte, parts kept, answer *gateway.Answer, now time.Time) []byte {
	cached := a.call.Cache.FromCache()
	tokens := answer.Usage.Total()
	if cached {
		tokens = 0
	}
	dst = append(dst, `{"request_id":`...)
	dst = dialect.String(dst, a.call.ID)
	dst = append(dst, `,"data":`...)
	dst = append(dst, parts.data...)
	dst = append(dst, `,"llm_provider":`...)
	dst = dialect.String(dst, answer.Provider)
	dst = append(dst, `,"model_name":`...)
	dst = dialect.String(dst, answer.Model)
	dst = append(dst, `,"tokens_used":`...)
	dst = strconv.AppendInt(dst, tokens, 10)
	dst = append(dst, `,"latency_ms":`...)
	dst = strconv.AppendInt(dst, now.Sub(a.call.Started).Milliseconds(), 10)
	dst = append(dst, `,"cached":`...)
	dst = strconv.AppendBool(dst, cached)
	dst = append(dst, `,"validated":`...)
	dst = append(dst, parts.validated...)
	if a.withRaw {
		dst = append(dst, `,"raw_output":`...)
		dst = append(dst, parts.raw...)
	}
	dst = append(dst, `,"timestamp":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339)
	return append(dst, `"}`...)
}
