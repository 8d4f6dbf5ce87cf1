package keys

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// maxCount is the largest count of a limit: up to here every JSON reader keeps integers exact.
	maxCount = 1 << 53
	// maxWindow is the longest window of a limit: a leap year.
	maxWindow = 366 * day
	// maxLimits bounds the limits of a key, and those of a team, since each of them is counted on every call.
	maxLimits = 16

	day = 24 * time.Hour
)

// limitUnits are the words that follow the count in a limit's short form.
var limitUnits = map[string]gateway.LimitKind{
	"":           gateway.LimitRequests,
	"tokens":     gateway.LimitTokens,
	"concurrent": gateway.LimitConcurrency,
}

// parseLimit reads a limit's short form: 1000/1h are requests, 200000tokens/1m tokens, and 16concurrent calls in
// progress. The count may have underscores between its digits, as counts in a Caddyfile do.
func parseLimit(text string) (gateway.Limit, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '_' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	unit, window, windowed := strings.Cut(text[end:], "/")
	kind, known := limitUnits[unit]
	if end == 0 || !known || windowed == (kind == gateway.LimitConcurrency) {
		return gateway.Limit{}, errors.New("write a limit as 1000/1h, 200000tokens/1m or 16concurrent")
	}
	n, err := parseCount(text[:end])
	if err != nil {
		return gateway.Limit{}, err
	}
	limit := gateway.Limit{Kind: kind, N: n}
	if windowed {
		if limit.Window, err = parseWindow(window); err != nil {
			return gateway.Limit{}, err
		}
	}
	return limit, nil
}

// limitJSON is a limit as the API shows it.
type limitJSON struct {
	Kind   gateway.LimitKind `json:"kind"`
	Limit  int64             `json:"limit"`
	Window string            `json:"window,omitempty"`
}

func representLimit(limit gateway.Limit) limitJSON {
	shown := limitJSON{Kind: limit.Kind, Limit: limit.N}
	if limit.Kind != gateway.LimitConcurrency {
		shown.Window = formatWindow(limit.Window)
	}
	return shown
}

// representLimits has no nil, so that no limits are [] rather than null.
func representLimits(limits []gateway.Limit) []limitJSON {
	shown := make([]limitJSON, len(limits))
	for i, limit := range limits {
		shown[i] = representLimit(limit)
	}
	return shown
}

// String writes the short form, which parseLimit reads.
func (l limitJSON) String() string {
	count := strconv.FormatInt(l.Limit, 10)
	switch l.Kind {
	case gateway.LimitConcurrency:
		return count + "concurrent"
	case gateway.LimitTokens:
		return count + "tokens/" + l.Window
	}
	return count + "/" + l.Window
}

func parseCount(text string) (int64, error) {
	digits := strings.ReplaceAll(text, "_", "")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > maxCount || text[0] == '_' || text[len(text)-1] == '_' {
		return 0, fmt.Errorf("the count must be a whole number from 1 to %d", int64(maxCount))
	}
	return n, nil
}

// parseWindow reads a window, as in 90s, 1h or 30d.
func parseWindow(text string) (time.Duration, error) {
	window, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, errors.New("the window must be a duration, as in 1m, 1h or 30d")
	}
	if window < time.Second || window > maxWindow || window%time.Second != 0 {
		return 0, errors.New("the window must be whole seconds, from 1s to 366d")
	}
	return window, nil
}

// formatWindow writes a window in the largest unit that needs no fraction.
func formatWindow(window time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if window%unit.length == 0 {
			return strconv.FormatInt(int64(window/unit.length), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(window/time.Second), 10) + "s"
}
