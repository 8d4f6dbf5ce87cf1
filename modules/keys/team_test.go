package keys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// sendTeam makes a request to the part of the API that concerns teams.
func sendTeam(t *testing.T, a *api, method, target, body string) (reply, *dialect.Error) {
	t.Helper()
	path, rawQuery, _ := strings.Cut(target, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		t.Fatal(err)
	}
	return a.serve(t.Context(), &request{method: method, path: teamsPath + path, query: query,
		body: func() ([]byte, *dialect.Error) { return []byte(body), nil }})
}

func mustTeam(t *testing.T, a *api, status int, method, target, body string) teamJSON {
	t.Helper()
	got, failure := sendTeam(t, a, method, target, body)
	if failure != nil || got.status != status {
		t.Fatalf("%s %s: got status %d and error %v, want %d", method, target, got.status, failure, status)
	}
	team, _ := got.body.(teamJSON)
	return team
}

func TestATeamHasItsDocumentedJSON(t *testing.T) {
	a := newAPI(t)
	mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"red","limits":["1000/1h",{"kind":"concurrency","limit":4}]}`)
	team := mustTeam(t, a, http.StatusOK, "GET", "/red", "")
	text, err := json.Marshal(team)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"name":"red","limits":[{"kind":"requests","limit":1000,"window":"1h"},{"kind":"concurrency","limit":4}],"active":true,"created_at":%q}`,
		team.CreatedAt.Format(time.RFC3339))
	if string(text) != want {
		t.Errorf("got\n%s, want\n%s", text, want)
	}
	mustTeam(t, a, http.StatusCreated, "POST", "", `{"name":"free"}`)
	if got := mustTeam(t, a, http.StatusOK, "GET", "/free", ""); got.Limits == nil || len(got.Limits) != 0 {
		t.Errorf("a team without limits has %v, want []", got.Limits)
	}
}

func TestPatchingATeamChangesOnlyWhatItNames(t *testing.T) {
	a := newAPI(t)
	want := mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"red","limits":["5/1m"]}`)
	for _, step := range []struct {
		body   string
		change func()
	}{
		{`{}`, func() {}},
		{`{"active":false}`, func() { want.Active = false }},
		{`{"limits":["7/1h"]}`, func() { want.Limits = []limitJSON{{gateway.LimitRequests, 7, "1h"}} }},
		{`{"limits":null,"active":true}`, func() { want.Limits, want.Active = []limitJSON{}, true }},
	} {
		step.change()
		for _, got := range []teamJSON{mustTeam(t, a, http.StatusOK, "PATCH", "/red", step.body), mustTeam(t, a, http.StatusOK, "GET", "/red/", "")} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", step.body, got, want)
			}
		}
	}
}

func TestAnInactiveTeamEndsItsKeysUntilItIsActive(t *testing.T) {
	a := newAPI(t)
	mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"red"}`)
	red := must(t, a, http.StatusCreated, "POST", "/", `{"team":"red"}`)
	blue := must(t, a, http.StatusCreated, "POST", "/", `{"team":"blue"}`)
	for _, active := range []bool{true, false, true} {
		mustTeam(t, a, http.StatusOK, "PATCH", "/red", fmt.Sprintf(`{"active":%t}`, active))
		if works(t, a, red.Key) != active || !works(t, a, blue.Key) {
			t.Errorf("active %t: the team's key works: %t, the other's: %t", active, works(t, a, red.Key), works(t, a, blue.Key))
		}
	}
}

func TestATeamInUseIsNotDeleted(t *testing.T) {
	a := newAPI(t)
	mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"red"}`)
	key := must(t, a, http.StatusCreated, "POST", "/", `{"team":"red"}`)
	_, failure := sendTeam(t, a, "DELETE", "/red", "")
	if failure == nil || failure.HTTPStatus() != http.StatusConflict || !strings.Contains(failure.Message, "keys that are active") {
		t.Fatalf("got %v, want a conflict that says so", failure)
	}
	must(t, a, http.StatusOK, "DELETE", "/"+key.ID, "")
	mustTeam(t, a, http.StatusNoContent, "DELETE", "/red", "")
	if _, failure := sendTeam(t, a, "GET", "/red", ""); failure == nil || failure.Kind != dialect.NotFound {
		t.Errorf("got error %v, want not_found", failure)
	}
	if got := must(t, a, http.StatusOK, "POST", "/"+key.ID+"/activate", ""); got.Team != "red" || !works(t, a, key.Key) {
		t.Errorf("a key of a team that is gone: got %+v, and it works: %t", got, works(t, a, key.Key))
	}
}

func TestTeamsAreListedPageByPage(t *testing.T) {
	a := newAPI(t)
	for _, name := range []string{"c", "a", "d", "b", "e"} {
		mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"`+name+`"}`)
	}
	got, after := "", ""
	for _, more := range []bool{true, true, false} {
		answer, failure := sendTeam(t, a, "GET", "/?limit=2&after="+after, "")
		if failure != nil {
			t.Fatal(failure)
		}
		page := answer.body.(teamPageJSON)
		if page.HasMore != more {
			t.Errorf("after %q: has_more is %v, want %v", after, page.HasMore, more)
		}
		for _, team := range page.Data {
			got += team.Name
			after = team.Name
		}
	}
	if got != "abcde" {
		t.Errorf("got %s", got)
	}
}

func TestRequestsAboutTeamsThatFail(t *testing.T) {
	a := newAPI(t)
	mustTeam(t, a, http.StatusCreated, "POST", "/", `{"name":"red"}`)
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		field, allow               string
	}{
		{"no body", "POST", "/", ``, 400, "", ""},
		{"no name", "POST", "/", `{}`, 422, "name", ""},
		{"an empty name", "POST", "/", `{"name":""}`, 422, "name", ""},
		{"a name that is no text", "POST", "/", `{"name":null}`, 422, "name", ""},
		{"a name with a slash", "POST", "/", `{"name":"a/b"}`, 422, "name", ""},
		{"a name that a path drops", "POST", "/", `{"name":"."}`, 422, "name", ""},
		{"a name that leaves the path", "POST", "/", `{"name":".."}`, 422, "name", ""},
		{"too long a name", "POST", "/", `{"name":"` + strings.Repeat("a", maxTeam+1) + `"}`, 422, "name", ""},
		{"active on creation", "POST", "/", `{"name":"a","active":true}`, 422, "active", ""},
		{"a bad limit", "POST", "/", `{"name":"a","limits":["x"]}`, 422, "limits.0", ""},
		{"a taken name", "POST", "/", `{"name":"red","limits":["1/1h"]}`, 409, "", ""},
		{"another name", "PATCH", "/red", `{"name":"blue"}`, 422, "name", ""},
		{"active that is no boolean", "PATCH", "/red", `{"active":null}`, 422, "active", ""},
		{"too many on a page", "GET", "/?limit=1001", ``, 422, "limit", ""},
		{"an unknown team", "GET", "/Red", ``, 404, "", ""},
		{"changing an unknown team", "PATCH", "/blue", `{}`, 404, "", ""},
		{"deleting an unknown team", "DELETE", "/blue", ``, 404, "", ""},
		{"too deep a path", "GET", "/red/keys", ``, 404, "", ""},
		{"PUT on all teams", "PUT", "/", ``, 405, "", "GET, POST"},
		{"POST on a team", "POST", "/red", ``, 405, "", "DELETE, GET, PATCH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, failure := sendTeam(t, a, tt.method, tt.target, tt.body)
			if failure == nil {
				t.Fatalf("got %+v and no error", got)
			}
			if failure.HTTPStatus() != tt.status || failure.Field != tt.field || got.allow != tt.allow {
				t.Errorf("got %d at %q, allow %q (%s)", failure.HTTPStatus(), failure.Field, got.allow, failure.Message)
			}
		})
	}
	if got := mustTeam(t, a, http.StatusOK, "GET", "/red", ""); len(got.Limits) != 0 || !got.Active {
		t.Errorf("what failed changed the team: %+v", got)
	}
}

func TestTeamsOfADeadStoreAreUnavailable(t *testing.T) {
	a := deadAPI(t)
	for _, req := range [][3]string{
		{"GET", "/", ""}, {"POST", "/", `{"name":"a"}`}, {"GET", "/a", ""}, {"PATCH", "/a", "{}"}, {"DELETE", "/a", ""},
	} {
		_, failure := sendTeam(t, a, req[0], req[1], req[2])
		if failure == nil || failure.HTTPStatus() != http.StatusServiceUnavailable || failure.RetryAfter != time.Second || failure.Cause == nil {
			t.Errorf("%s %s: got %v, want store_unavailable", req[0], req[1], failure)
		}
	}
}

func TestErrorsAboutTeamsQuoteNoSecret(t *testing.T) {
	a := newAPI(t)
	secret := gateway.NewSecret(gateway.KeyPrefix)
	for _, req := range [][3]string{
		{"GET", "/" + secret, ""}, {"PATCH", "/" + secret, "{}"}, {"DELETE", "/" + secret, ""}, {"GET", "/?limit=" + secret, ""},
		{"POST", "/", `{"name":"` + secret + `"}`}, {"POST", "/", `{"` + secret + `":1}`}, {"POST", "/", `{"name":"a","limits":["` + secret + `"]}`},
	} {
		_, failure := sendTeam(t, a, req[0], req[1], req[2])
		if failure == nil {
			t.Errorf("%s %s %s: no error", req[0], req[1], req[2])
			continue
		}
		if text := fmt.Sprint(failure, failure.Field, failure.Details); strings.Contains(text, secret) {
			t.Errorf("%s %s %s: the error quotes the secret: %s", req[0], req[1], req[2], text)
		}
	}
}

func TestOnlyTheAdminCredentialOpensTeams(t *testing.T) {
	h := newHandler(t, appConfig(t, ""))
	_, ordinary, err := h.app.Keyring().Create(t.Context(), gateway.NewKey{Name: "ordinary"})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]int{ordinary: 401, "": 401, adminKey: 200} {
		for _, path := range []string{"/v1/teams", "/v1/teams/"} {
			if w := serve(t, h, "GET", path, "", "X-Api-Key", secret); w.Code != want {
				t.Errorf("%s: got status %d, want %d", path, w.Code, want)
			}
		}
	}
	w := serve(t, h, "POST", "/v1/teams/", `{"name":"red"}`, "X-Api-Key", adminKey)
	if w.Code != http.StatusCreated || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("creating: got status %d and header %v", w.Code, w.Header())
	}
	if w := serve(t, h, "DELETE", "/v1/teams/red", "", "X-Api-Key", adminKey); w.Code != http.StatusNoContent || w.Body.Len() != 0 {
		t.Errorf("deleting: got status %d and %s", w.Code, w.Body)
	}
	if w := serve(t, h, "GET", "/v1/teamsx", "", "X-Api-Key", adminKey); w.Code != http.StatusTeapot {
		t.Errorf("another path: got status %d, want it passed on", w.Code)
	}
}
