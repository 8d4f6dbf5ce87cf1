package dialect

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// StatusOverloaded is what Anthropic, and servers in its manner, answer with when they have too much to do.
const StatusOverloaded = 529

// Bounds on what a provider can say in an error.
const (
	MaxMessage    = 2 << 10 // bytes of its message that are passed on
	MaxRetryAfter = 24 * time.Hour
)

// KindOfStatus judges a provider's answer by its status alone.
func KindOfStatus(status int) Kind {
	switch status {
	case http.StatusTooManyRequests:
		return RateLimit
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusServiceUnavailable, StatusOverloaded:
		return Unavailable
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return Timeout
	}
	return UpstreamFailed
}

// RetryableStatus tells whether another attempt may succeed after a provider answered with a status.
func RetryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, StatusOverloaded:
		return true
	}
	return false
}

// CleanMessage keeps a provider's message of bounded length and valid UTF-8.
func CleanMessage(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= MaxMessage {
		return s
	}
	cut := MaxMessage
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// RetryAfter reads how long to wait: Retry-After-Ms, which is finer, else Retry-After in seconds or as a date
// (RFC 9110, section 10.2.3), which the provider's own clock in Date measures.
func RetryAfter(header func(name string) string) time.Duration {
	if ms, err := strconv.ParseFloat(header("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return boundedWait(ms * float64(time.Millisecond))
	}
	text := header("Retry-After")
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 {
		return boundedWait(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// boundedWait bounds a wait, in nanoseconds.
func boundedWait(ns float64) time.Duration {
	return time.Duration(math.Min(ns, float64(MaxRetryAfter)))
}
