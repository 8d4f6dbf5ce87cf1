package keys

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

var today = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func TestSettingsTakeWhatTheBodySays(t *testing.T) {
	got, failure := parseSettings([]byte(`{
		"name": "  ci é ", "team": "R.d_1-x", "allowed_models": ["fast", "openai/gpt-5"], "budget": null,
		"limits": ["1000/1h", {"kind": "tokens", "limit": 5, "window": "1m"}, {"limit": 3, "kind": "concurrency", "window": null}],
		"expires_at": "2030-06-01T14:00:00.9+01:00", "active": false}`), updateFields, today)
	if failure != nil {
		t.Fatal(failure)
	}
	name, team, active, expires := "ci é", "R.d_1-x", false, today.Add(time.Hour)
	limits := []gateway.Limit{
		{Kind: gateway.LimitRequests, N: 1000, Window: time.Hour},
		{Kind: gateway.LimitTokens, N: 5, Window: time.Minute},
		{Kind: gateway.LimitConcurrency, N: 3},
	}
	models := []string{"fast", "openai/gpt-5"}
	want := gateway.KeyChange{Name: &name, Team: &team, Limits: &limits, Models: &models, Active: &active, Expires: &expires}
	if !reflect.DeepEqual(got.KeyChange, want) {
		t.Errorf("got %+v, want %+v", got.KeyChange, want)
	}
}

func TestSettingsLeaveWhatTheBodyDoesNotSay(t *testing.T) {
	got, failure := parseSettings([]byte(`{}`), updateFields, today)
	if failure != nil || !reflect.DeepEqual(got, new(settings)) {
		t.Errorf("got %+v and error %v, want no change", got, failure)
	}
}

func TestNullPutsBackTheDefault(t *testing.T) {
	got, failure := parseSettings([]byte(`{"name":null,"team":null,"limits":null,"allowed_models":null,"budget":null,"expires_at":null}`), createFields, today)
	if failure != nil {
		t.Fatal(failure)
	}
	name, team, limits, models, never := "unnamed", "", gateway.DefaultKeyLimits(), []string{}, time.Time{}
	want := gateway.KeyChange{Name: &name, Team: &team, Limits: &limits, Models: &models, Expires: &never}
	if !reflect.DeepEqual(got.KeyChange, want) {
		t.Errorf("got %+v, want %+v", got.KeyChange, want)
	}
}

func TestNoLimitsAreNotTheDefaultLimits(t *testing.T) {
	for body, want := range map[string]bool{`{}`: true, `{"limits":[]}`: false} {
		s, failure := parseSettings([]byte(body), createFields, today)
		if failure != nil {
			t.Fatal(failure)
		}
		if isDefault := s.newKey().Limits == nil; isDefault != want {
			t.Errorf("%s: left to the default is %v, want %v", body, isDefault, want)
		}
	}
}

// TestSettingsNameTheFieldAtFault reads testdata/settings.json: bodies, with the field that each breaks.
func TestSettingsNameTheFieldAtFault(t *testing.T) {
	text, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var tests []struct {
		Name, Field, Says string
		Body              json.RawMessage
	}
	if err := json.Unmarshal(text, &tests); err != nil {
		t.Fatal(err)
	}
	all := append([]string{"key", "grace"}, updateFields...)
	for _, tc := range tests {
		t.Run(tc.Name, func(t *testing.T) {
			got, failure := parseSettings(tc.Body, all, today)
			if failure == nil {
				t.Fatalf("got %+v and no error", got)
			}
			if failure.Kind != dialect.Validation || failure.Field != tc.Field || !strings.Contains(failure.Message, tc.Says) {
				t.Errorf("got %s at %q: %s\nwant %s at %q: %s", failure.Kind, failure.Field, failure.Message, dialect.Validation, tc.Field, tc.Says)
			}
		})
	}
}

func TestListsAreBounded(t *testing.T) {
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for body, field := range map[string]string{
		`{"allowed_models":` + list(maxModels, `"m"`) + `}`:   "",
		`{"allowed_models":` + list(maxModels+1, `"m"`) + `}`: "allowed_models",
		`{"name":"` + strings.Repeat("é", maxName) + `"}`:     "",
		`{"name":"` + strings.Repeat("é", maxName+1) + `"}`:   "name",
		`{"team":"` + strings.Repeat("a", maxTeam) + `"}`:     "",
		`{"team":"` + strings.Repeat("a", maxTeam+1) + `"}`:   "team",
	} {
		_, failure := parseSettings([]byte(body), createFields, today)
		if got := fieldOf(failure); got != field {
			t.Errorf("%.60s…: fault at %q, want %q", body, got, field)
		}
	}
	var windows []string
	for i := range maxLimits + 1 {
		windows = append(windows, `"1/`+formatWindow(time.Duration(i+1)*time.Second)+`"`)
	}
	for n, field := range map[int]string{maxLimits: "", maxLimits + 1: "limits"} {
		_, failure := parseSettings([]byte(`{"limits":[`+strings.Join(windows[:n], ",")+`]}`), createFields, today)
		if got := fieldOf(failure); got != field {
			t.Errorf("%d limits: fault at %q, want %q", n, got, field)
		}
	}
}

func fieldOf(failure *dialect.Error) string {
	if failure == nil {
		return ""
	}
	return failure.Field
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte(`{"name":"a","limits":["1/1s",{"kind":"tokens","limit":1,"window":"1d"}],"allowed_models":["m"]}`))
	f.Add([]byte(`{"limits":[{}]}`))
	f.Add([]byte(`{"limits":[[],null,1]}`))
	f.Add([]byte(`{"expires_at":"9999-12-31T23:59:59Z","grace":"1m","active":true}`))
	all := append([]string{"key", "grace"}, updateFields...)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, failure := parseSettings(body, all, today)
		if (s == nil) == (failure == nil) {
			t.Fatalf("got settings %v and error %v", s, failure)
		}
		if failure == nil && s.Limits != nil {
			for _, limit := range *s.Limits {
				if again, err := parseLimit(representLimit(limit).String()); err != nil || again != limit {
					t.Fatalf("%+v is read back as %+v, error %v", limit, again, err)
				}
			}
		}
	})
}
