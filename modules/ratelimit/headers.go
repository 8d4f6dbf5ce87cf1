package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// setHeaders tells a client where it stands, in three families: X-RateLimit-*, the IETF's RateLimit fields
// (draft-ietf-httpapi-ratelimit-headers-10), and, on OpenAI's surfaces, the ones that its SDKs know. Each speaks of the limit
// that is nearest to its end; those that speak of one limit only, of requests first, and of a refusal, of the one that refused.
func setHeaders(h http.Header, shape dialect.Name, claims []gateway.Claim, refused *gateway.Claim, now time.Time) {
	openAI := shape == dialect.OpenAI || shape == dialect.Responses
	nearest := tightest(claims, "")
	if requests := tightest(claims, gateway.LimitRequests); requests != nil {
		nearest = requests
		if openAI {
			setOpenAI(h, requests, "requests")
		}
	}
	if tokens := tightest(claims, gateway.LimitTokens); tokens != nil && openAI {
		setOpenAI(h, tokens, "tokens")
	}
	if refused != nil {
		nearest = refused
	}
	reset := max(nearest.Reset, nearest.RetryAfter)
	h["X-Ratelimit-Limit"] = []string{strconv.FormatInt(nearest.Limit.N, 10)}
	h["X-Ratelimit-Remaining"] = []string{strconv.FormatInt(nearest.Remaining, 10)}
	h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(now.Add(reset).Unix()+1, 10)}
	if nearest.Limit.Kind != gateway.LimitConcurrency {
		setIETF(h, nearest, reset)
	}
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

var openAINames = map[string][3]string{
	"requests": {"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	"tokens":   {"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
}

func setOpenAI(h http.Header, c *gateway.Claim, unit string) {
	names := openAINames[unit]
	h[names[0]] = []string{strconv.FormatInt(c.Limit.N, 10)}
	h[names[1]] = []string{strconv.FormatInt(c.Remaining, 10)}
	h[names[2]] = []string{max(c.Reset, c.RetryAfter).Round(time.Millisecond).String()}
}

func setIETF(h http.Header, c *gateway.Claim, reset time.Duration) {
	policy := append(make([]byte, 0, 64), '"')
	policy = append(policy, c.Limit.Kind...)
	name := len(policy) + 1
	policy = append(policy, `";q=`...)
	policy = strconv.AppendInt(policy, c.Limit.N, 10)
	policy = append(policy, ";w="...)
	policy = strconv.AppendInt(policy, max(1, int64(c.Limit.Window/time.Second)), 10)
	h["Ratelimit-Policy"] = []string{string(policy)}

	state := append(policy[:name], ";r="...)
	state = strconv.AppendInt(state, c.Remaining, 10)
	state = append(state, ";t="...)
	state = strconv.AppendInt(state, int64((reset+time.Second-1)/time.Second), 10)
	h["Ratelimit"] = []string{string(state)}
}
