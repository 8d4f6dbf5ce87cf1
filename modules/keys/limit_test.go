package keys

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestParseLimitReadsTheShortForm(t *testing.T) {
	tests := []struct {
		text string
		want gateway.Limit
	}{
		{"1000/1h", gateway.Limit{Kind: gateway.LimitRequests, N: 1000, Window: time.Hour}},
		{"1/1s", gateway.Limit{Kind: gateway.LimitRequests, N: 1, Window: time.Second}},
		{"1_000_000/30d", gateway.Limit{Kind: gateway.LimitRequests, N: 1_000_000, Window: 30 * day}},
		{"200000tokens/1m", gateway.Limit{Kind: gateway.LimitTokens, N: 200_000, Window: time.Minute}},
		{"9007199254740992tokens/366d", gateway.Limit{Kind: gateway.LimitTokens, N: 1 << 53, Window: 366 * day}},
		{"10/1h30m", gateway.Limit{Kind: gateway.LimitRequests, N: 10, Window: 90 * time.Minute}},
		{"16concurrent", gateway.Limit{Kind: gateway.LimitConcurrency, N: 16}},
	}
	for _, tc := range tests {
		t.Run(tc.text, func(t *testing.T) {
			if got, err := parseLimit(tc.text); err != nil || got != tc.want {
				t.Errorf("got %+v and error %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseLimitRefusesAllElse(t *testing.T) {
	tests := []struct{ text, says string }{
		{"", "write a limit as"},
		{"1000", "write a limit as"},
		{"tokens/1m", "write a limit as"},
		{"1000requests/1h", "write a limit as"},
		{"-1/1h", "write a limit as"},
		{" 1000/1h", "write a limit as"},
		{"1000 /1h", "write a limit as"},
		{"1e3/1h", "write a limit as"},
		{"16concurrent/1h", "write a limit as"},
		{"5tokens", "write a limit as"},
		{"0/1h", "whole number"},
		{"9007199254740993/1h", "whole number"},
		{"99999999999999999999/1h", "whole number"},
		{"_1/1h", "whole number"},
		{"1_/1h", "whole number"},
		{"_/1h", "whole number"},
		{"1/", "must be a duration"},
		{"1/h", "must be a duration"},
		{"1/1h/1h", "must be a duration"},
		{"1/1w", "must be a duration"},
		{"1/0s", "whole seconds"},
		{"1/-1h", "whole seconds"},
		{"1/500ms", "whole seconds"},
		{"1/1.5s", "whole seconds"},
		{"1/367d", "whole seconds"},
	}
	for _, tc := range tests {
		t.Run(tc.text, func(t *testing.T) {
			got, err := parseLimit(tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %+v and error %v, want one that says %q", got, err, tc.says)
			}
		})
	}
}

func TestWindowsAreWrittenInTheLargestWholeUnit(t *testing.T) {
	for want, window := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "1m": time.Minute, "90m": 90 * time.Minute,
		"1h": time.Hour, "36h": 36 * time.Hour, "1d": day, "366d": 366 * day,
	} {
		if got := formatWindow(window); got != want {
			t.Errorf("%v: got %s, want %s", window, got, want)
		}
	}
}

func TestALimitIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := gateway.Limit{
			Kind: rapid.SampledFrom([]gateway.LimitKind{gateway.LimitRequests, gateway.LimitTokens, gateway.LimitConcurrency}).Draw(t, "kind"),
			N:    rapid.Int64Range(1, maxCount).Draw(t, "n"),
		}
		if limit.Kind != gateway.LimitConcurrency {
			limit.Window = time.Duration(rapid.Int64Range(1, int64(maxWindow/time.Second)).Draw(t, "seconds")) * time.Second
		}
		text := representLimit(limit).String()
		if got, err := parseLimit(text); err != nil || got != limit {
			t.Fatalf("%+v is written %q and read as %+v, error %v", limit, text, got, err)
		}
	})
}

func FuzzParseLimit(f *testing.F) {
	for _, seed := range []string{"1000/1h", "1_0tokens/1.5d", "16concurrent", "5/-d", "1/1d1d", "0x10/1h", "٣/1h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := parseLimit(text)
		if err != nil {
			return
		}
		windowed := limit.Kind != gateway.LimitConcurrency
		if limit.N < 1 || limit.N > maxCount || windowed != (limit.Window > 0) || limit.Window > maxWindow || limit.Window%time.Second != 0 {
			t.Fatalf("%q is read as %+v", text, limit)
		}
		written := representLimit(limit).String()
		if again, err := parseLimit(written); err != nil || again != limit {
			t.Fatalf("%q is read as %+v, but its text %q as %+v, error %v", text, limit, written, again, err)
		}
	})
}
