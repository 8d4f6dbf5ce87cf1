package ratelimit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// setHeaders tells a client where it stands, in three families: X-RateLimit-*, the IETF's RateLimit fields
// (draft-ietf-httpapi-ratelimit-headers-10), and, on OpenAI's and Anthropic's surfaces, the ones that their SDKs know. Each speaks of the
// limit that is nearest to its end; those that speak of one limit only, of requests first, and of a refusal, of the one that refused.
func setHeaders(h http.Header, shape dialect.Name, claims []gateway.Claim, refused *gateway.Claim, now time.Time) {
	var f fields
	f.text.Grow(160)
	nearest := tightest(claims, "")
	if requests := tightest(claims, gateway.LimitRequests); requests != nil {
		nearest = requests
		f.own(requests, shape, 0, now)
	}
	if tokens := tightest(claims, gateway.LimitTokens); tokens != nil {
		f.own(tokens, shape, 1, now)
	}
	if refused != nil {
		nearest = refused
	}
	reset := max(nearest.Reset, nearest.RetryAfter)
	f.number("X-Ratelimit-Limit", nearest.Limit.N)
	f.number("X-Ratelimit-Remaining", nearest.Remaining)
	f.number("X-Ratelimit-Reset", now.Add(reset).Unix()+1)
	if nearest.Limit.Kind != gateway.LimitConcurrency {
		f.ietf(nearest, reset)
	}
	f.set(h)
}

// tightest is the claim with the smallest share left, among those of a kind, or of all.
func tightest(claims []gateway.Claim, kind gateway.LimitKind) *gateway.Claim {
	var found *gateway.Claim
	for i := range claims {
		c := &claims[i]
		if kind != "" && c.Limit.Kind != kind {
			continue
		}
		if found == nil || float64(c.Remaining)/float64(c.Limit.N) < float64(found.Remaining)/float64(found.Limit.N) {
			found = c
		}
	}
	return found
}

// The names of a dialect's own fields: of the limits on requests, then on tokens.
var (
	openAINames = [2][3]string{
		{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
		{"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	}
	anthropicNames = [2][3]string{
		{"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
		{"Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	}
)

// fields gathers header fields, so that all of them take one string and one slice. Every answer has them.
type fields struct {
	names [11]string
	ends  [11]int // of their values in text
	n     int
	text  strings.Builder
}

// end makes a field of what was written since the last one.
func (f *fields) end(name string) {
	f.names[f.n], f.ends[f.n] = name, f.text.Len()
	f.n++
}

func (f *fields) write(texts ...string) {
	for _, text := range texts {
		f.text.WriteString(text)
	}
}

func (f *fields) writeInt(value int64) {
	var digits [20]byte
	f.text.Write(strconv.AppendInt(digits[:0], value, 10))
}

func (f *fields) number(name string, value int64) {
	f.writeInt(value)
	f.end(name)
}

// own tells of a limit in the way of a surface's own dialect, where it has one.
func (f *fields) own(c *gateway.Claim, shape dialect.Name, unit int, now time.Time) {
	reset := max(c.Reset, c.RetryAfter)
	var names *[3]string
	var text string
	switch shape {
	case dialect.OpenAI, dialect.Responses:
		names, text = &openAINames[unit], reset.Round(time.Millisecond).String()
	case dialect.Anthropic: // rounded up to the second: a client that comes back early would be refused
		names, text = &anthropicNames[unit], now.Add(reset+time.Second-1).UTC().Format(time.RFC3339)
	default:
		return
	}
	f.number(names[0], c.Limit.N)
	f.number(names[1], c.Remaining)
	f.write(text)
	f.end(names[2])
}

func (f *fields) ietf(c *gateway.Claim, reset time.Duration) {
	f.write(`"`, string(c.Limit.Kind), `";q=`)
	f.writeInt(c.Limit.N)
	f.write(";w=")
	f.writeInt(max(1, int64(c.Limit.Window/time.Second)))
	f.end("Ratelimit-Policy")

	f.write(`"`, string(c.Limit.Kind), `";r=`)
	f.writeInt(c.Remaining)
	f.write(";t=")
	f.writeInt(int64((reset + time.Second - 1) / time.Second))
	f.end("Ratelimit")
}

// set puts the fields into a header. Each value is a slice of its own, whose array others share beyond its capacity.
func (f *fields) set(h http.Header) {
	text, values, from := f.text.String(), make([]string, f.n), 0
	for i, end := range f.ends[:f.n] {
		values[i] = text[from:end]
		h[f.names[i]] = values[i : i+1 : i+1]
		from = end
	}
}
