package sqlrow

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// The stored form is a promise to databases that exist already.
func TestLimitsAreStoredInSeconds(t *testing.T) {
	for _, test := range []struct {
		limits []gateway.Limit
		want   string
	}{
		{nil, `[]`},
		{gateway.DefaultKeyLimits(), `[{"kind":"requests","n":1000,"window":3600}]`},
		{[]gateway.Limit{{Kind: gateway.LimitConcurrency, N: 4}, {Kind: gateway.LimitTokens, N: 9, Window: time.Minute}},
			`[{"kind":"concurrency","n":4},{"kind":"tokens","n":9,"window":60}]`},
	} {
		if got, err := EncodeLimits(test.limits); err != nil || got != test.want {
			t.Errorf("%v: got %s and error %v, want %s", test.limits, got, err, test.want)
		}
	}
}

func TestEqualLimitsOfKeysReadInTurnAreOneSlice(t *testing.T) {
	read := func(text string) []gateway.Limit {
		limits, err := DecodeLimits([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return limits
	}
	const hourly, daily = `[{"kind":"requests","n":7,"window":3600}]`, `[{"kind":"requests","n":7,"window":86400}]`
	first, second, other, again := read(hourly), read(hourly), read(daily), read(hourly)
	if &first[0] != &second[0] {
		t.Error("the second key has its limits for itself")
	}
	if first[0].Window != time.Hour || other[0].Window != 24*time.Hour || again[0] != first[0] {
		t.Errorf("the windows are %v, %v and %v", first[0].Window, other[0].Window, again[0].Window)
	}
	if longer := append(first, other...); len(second) != 1 || &longer[0] == &second[0] {
		t.Error("a longer list of the first key reaches into the second key's")
	}
	stored := []byte(hourly)
	if n := testing.AllocsPerRun(100, func() { _, _ = DecodeLimits(stored) }); n > 0 {
		t.Errorf("%v allocations for limits that are known", n)
	}
}

func TestTimesAreRoundedDownToSecondsInUTC(t *testing.T) {
	zone := time.FixedZone("east", 5*3600)
	at := time.Date(2026, 3, 4, 5, 6, 7, 999_999_999, zone)
	want := time.Date(2026, 3, 4, 0, 6, 7, 0, time.UTC)
	if got := Instant(Seconds(at)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Instant(Seconds(time.Time{})); !got.IsZero() {
		t.Errorf("got %v, want the zero time", got)
	}
}
