package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// control is what a request's Cache-Control asks for, as RFC 9111 section 5.2.1 has it.
type control struct {
	noStore, noCache, onlyIfCached bool
	maxAge                         time.Duration // negative where not given
}

func parseControl(values []string) control {
	asked := control{maxAge: -1}
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			name, argument, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store":
				asked.noStore = true
			case "no-cache":
				asked.noCache = true
			case "only-if-cached":
				asked.onlyIfCached = true
			case "max-age":
				seconds, err := strconv.ParseInt(strings.Trim(argument, `"`), 10, 64)
				if err == nil && seconds >= 0 {
					asked.maxAge = time.Duration(min(seconds, 1<<31)) * time.Second
				}
			}
		}
	}
	return asked
}

// fresh is the answer, unless it is older than the client wants.
func (c control) fresh(answer *gateway.Answer) *gateway.Answer {
	if answer == nil || c.maxAge >= 0 && time.Since(answer.Created) > c.maxAge {
		return nil
	}
	return answer
}

// setHeaders says how the cache took part: as RFC 9211 has it, and in one plain word.
func setHeaders(h http.Header, word, status string) {
	values := []string{word, status}
	h["X-Cache"], h["Cache-Status"] = values[:1:1], values[1:]
}

func setHit(h http.Header, answer *gateway.Answer, now time.Time) {
	age := max(0, now.Sub(answer.Created)/time.Second)
	ttl := max(0, answer.Expires.Sub(now)/time.Second)
	var buffer [64]byte
	text := strconv.AppendInt(append(buffer[:0], "llm_cache; hit; ttl="...), int64(ttl), 10)
	end := len(text)
	both := string(strconv.AppendInt(text, int64(age), 10)) // one string for two fields, as every hit has them
	values := []string{"HIT", both[:end], both[end:]}
	h["X-Cache"], h["Cache-Status"], h["Age"] = values[:1:1], values[1:2:2], values[2:]
}
