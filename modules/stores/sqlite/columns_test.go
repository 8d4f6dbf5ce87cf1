package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// The stored form is a promise to files that exist already.
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
		if got, err := encodeLimits(test.limits); err != nil || got != test.want {
			t.Errorf("%v: got %s and error %v, want %s", test.limits, got, err, test.want)
		}
	}
}

func TestWindowThatIsNotWholeSecondsIsRefused(t *testing.T) {
	store := newStore(t)
	key, _ := createKey(t, store)
	limits := []gateway.Limit{{Kind: gateway.LimitRequests, N: 1, Window: 1500 * time.Millisecond}}
	odd := &gateway.Key{ID: "key_odd", Limits: limits, Created: time.Now()}
	const want = "window 1.5s is not whole seconds"
	if err := store.CreateKey(t.Context(), odd, newHash()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("creating: got error %v, want %q", err, want)
	}
	if _, err := store.KeyByID(t.Context(), odd.ID); !errors.Is(err, gateway.ErrKeyNotFound) {
		t.Errorf("the key was stored: %v", err)
	}
	if _, err := store.UpdateKey(t.Context(), key.ID, gateway.KeyChange{Limits: &limits}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("updating: got error %v, want %q", err, want)
	}
}

func TestTimesAreRoundedDownToSecondsInUTC(t *testing.T) {
	zone := time.FixedZone("east", 5*3600)
	at := time.Date(2026, 3, 4, 5, 6, 7, 999_999_999, zone)
	want := time.Date(2026, 3, 4, 0, 6, 7, 0, time.UTC)
	if got := instant(seconds(at)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := instant(seconds(time.Time{})); !got.IsZero() {
		t.Errorf("got %v, want the zero time", got)
	}
}
