package keys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlite"
)

const adminKey = "the-admin-credential"

// newAPI is a key API over a store of its own.
func newAPI(t *testing.T) *api {
	t.Helper()
	store := sqlite.New(filepath.Join(t.TempDir(), "keys.db"))
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &api{ring: gateway.NewKeyring(store, adminKey, zap.NewNop()), now: time.Now, imports: true}
}

// deadAPI is a key API whose store answers nothing.
func deadAPI(t *testing.T) *api {
	t.Helper()
	store := sqlite.New(filepath.Join(t.TempDir(), "keys.db"))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return &api{ring: gateway.NewKeyring(store, "", zap.NewNop()), now: time.Now, imports: true}
}

func send(t *testing.T, a *api, method, target, body string) (reply, *dialect.Error) {
	t.Helper()
	path, rawQuery, _ := strings.Cut(target, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		t.Fatal(err)
	}
	return a.serve(t.Context(), &request{method: method, path: keysPath + path, query: query,
		body: func() ([]byte, *dialect.Error) { return []byte(body), nil }})
}

// must sends what has to succeed with the given status, and returns the key that it answers with.
func must(t *testing.T, a *api, status int, method, target, body string) keyJSON {
	t.Helper()
	got, failure := send(t, a, method, target, body)
	if failure != nil || got.status != status {
		t.Fatalf("%s %s: got status %d and error %v, want %d", method, target, got.status, failure, status)
	}
	key, _ := got.body.(keyJSON)
	return key
}

func works(t *testing.T, a *api, secret string) bool {
	t.Helper()
	_, err := a.ring.Find(t.Context(), secret)
	if err != nil && err != gateway.ErrKeyNotFound {
		t.Fatal(err)
	}
	return err == nil
}

func TestANewKeyShowsItsSecretOnce(t *testing.T) {
	a := newAPI(t)
	made := must(t, a, http.StatusCreated, "POST", "/", `{"name":"ci","team":"research","allowed_models":["fast"],"expires_at":"2099-01-01T00:00:00Z"}`)
	if !gateway.WellFormedKey(made.Key) || !works(t, a, made.Key) {
		t.Errorf("the secret does not work")
	}
	made.Key = ""
	if got := must(t, a, http.StatusOK, "GET", "/"+made.ID, ""); !reflect.DeepEqual(got, made) {
		t.Errorf("got %+v, want %+v", got, made)
	}
}

func TestAKeyHasItsDocumentedJSON(t *testing.T) {
	a := newAPI(t)
	key := must(t, a, http.StatusCreated, "POST", "/", `{}`)
	text, err := json.Marshal(must(t, a, http.StatusOK, "GET", "/"+key.ID, ""))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"id":%q,"name":"unnamed","team":"","limits":[{"kind":"requests","limit":1000,"window":"1h"}],`+
		`"allowed_models":[],"budget":null,"active":true,"created_at":%q,"expires_at":null,"last_used_at":null}`,
		key.ID, key.CreatedAt.Format(time.RFC3339))
	if string(text) != want {
		t.Errorf("got\n%s, want\n%s", text, want)
	}
}

func TestAKeyMayBeUnlimited(t *testing.T) {
	a := newAPI(t)
	key := must(t, a, http.StatusCreated, "POST", "/", `{"limits":[]}`)
	if got := must(t, a, http.StatusOK, "GET", "/"+key.ID, ""); got.Limits == nil || len(got.Limits) != 0 {
		t.Errorf("got %v, want []", got.Limits)
	}
}

func TestRevokingEndsAKeyUntilItIsActivated(t *testing.T) {
	for name, revoke := range map[string][3]string{
		"by DELETE": {"DELETE", "", ""}, "by DELETE without purge": {"DELETE", "?purge=false", ""}, "by PATCH": {"PATCH", "", `{"active":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			key := must(t, a, http.StatusCreated, "POST", "/", `{}`)
			if !works(t, a, key.Key) {
				t.Fatal("a new key does not work")
			}
			if got := must(t, a, http.StatusOK, revoke[0], "/"+key.ID+revoke[1], revoke[2]); got.Active || works(t, a, key.Key) {
				t.Error("the key works on")
			}
			if got := must(t, a, http.StatusOK, "POST", "/"+key.ID+"/activate", ""); !got.Active || !works(t, a, key.Key) {
				t.Error("the key does not work again")
			}
		})
	}
}

func TestPurgingRemovesAKey(t *testing.T) {
	a := newAPI(t)
	key := must(t, a, http.StatusCreated, "POST", "/", `{}`)
	must(t, a, http.StatusNoContent, "DELETE", "/"+key.ID+"?purge=true", "")
	if works(t, a, key.Key) {
		t.Error("the key works on")
	}
	if _, failure := send(t, a, "GET", "/"+key.ID, ""); failure == nil || failure.Kind != dialect.NotFound {
		t.Errorf("got error %v, want not_found", failure)
	}
}

func TestRotatingChangesTheSecret(t *testing.T) {
	for body, former := range map[string]bool{"": false, "{}": false, `{"grace":null}`: false, `{"grace":"0s"}`: false, `{"grace":"10m"}`: true} {
		t.Run(body, func(t *testing.T) {
			a := newAPI(t)
			key := must(t, a, http.StatusCreated, "POST", "/", `{"name":"ci"}`)
			rotated := must(t, a, http.StatusOK, "POST", "/"+key.ID+"/rotate", body)
			if rotated.ID != key.ID || rotated.Name != "ci" || rotated.Key == key.Key || !works(t, a, rotated.Key) {
				t.Errorf("got key %s of name %q", rotated.ID, rotated.Name)
			}
			if got := works(t, a, key.Key); got != former {
				t.Errorf("the former secret works: %v, want %v", got, former)
			}
		})
	}
}

func TestPatchingChangesOnlyWhatItNames(t *testing.T) {
	a := newAPI(t)
	key := must(t, a, http.StatusCreated, "POST", "/", `{"name":"ci","team":"research","limits":["5/1m"],"expires_at":"2099-01-01T00:00:00Z"}`)
	want := key
	want.Key, want.Team, want.ExpiresAt = "", "ops", nil
	got := must(t, a, http.StatusOK, "PATCH", "/"+key.ID, `{"team":"ops","expires_at":null}`)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestImportingAgainChangesNothing(t *testing.T) {
	a := newAPI(t)
	secret := gateway.NewSecret(gateway.KeyPrefix)
	first := must(t, a, http.StatusCreated, "POST", "/import", `{"key":"`+secret+`","name":"ci"}`)
	if !*first.Created || first.Key != secret || !works(t, a, secret) {
		t.Errorf("got created %v, and a key that works: %v", *first.Created, works(t, a, secret))
	}
	second := must(t, a, http.StatusOK, "POST", "/import", `{"key":"`+secret+`","name":"other"}`)
	if *second.Created || second.Key != "" || second.ID != first.ID || second.Name != "ci" {
		t.Errorf("got created %v, id %s and name %q", *second.Created, second.ID, second.Name)
	}
}

func TestASecretWhoseGraceIsOverIsNotImportedAgain(t *testing.T) {
	store := sqlite.New(filepath.Join(t.TempDir(), "keys.db"))
	defer store.Close()
	a := &api{ring: gateway.NewKeyring(store, "", zap.NewNop()), now: time.Now, imports: true}
	former := gateway.NewSecret(gateway.KeyPrefix)
	rotated := &gateway.Key{ID: gateway.NewKeyID(), Active: true, Created: time.Now(),
		Retiring: []gateway.RetiringHash{{Hash: gateway.HashKey(former), Until: time.Now().Add(-time.Hour)}}}
	if err := store.CreateKey(t.Context(), rotated, gateway.HashKey("another")); err != nil {
		t.Fatal(err)
	}
	_, failure := send(t, a, "POST", "/import", `{"key":"`+former+`"}`)
	if failure == nil || failure.HTTPStatus() != http.StatusConflict || failure.Field != "key" {
		t.Errorf("got %v, want a conflict at key", failure)
	}
}

func TestKeysAreListedPageByPage(t *testing.T) {
	a := newAPI(t)
	var want []string
	for range 5 {
		want = append(want, must(t, a, http.StatusCreated, "POST", "/", `{}`).ID)
	}
	var got []string
	after := ""
	for _, more := range []bool{true, true, false} {
		answer, failure := send(t, a, "GET", "/?limit=2&after="+after, "")
		if failure != nil {
			t.Fatal(failure)
		}
		page := answer.body.(pageJSON)
		if page.HasMore != more {
			t.Errorf("after %q: has_more is %v, want %v", after, page.HasMore, more)
		}
		for _, key := range page.Data {
			if key.Key != "" {
				t.Error("the list shows a secret")
			}
			got = append(got, key.ID)
		}
		after = got[len(got)-1]
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAPageThatFitsHasNoMore(t *testing.T) {
	a := newAPI(t)
	answer, failure := send(t, a, "GET", "/", "")
	if failure != nil {
		t.Fatal(failure)
	}
	if text, err := json.Marshal(answer.body); err != nil || string(text) != `{"data":[],"has_more":false}` {
		t.Errorf("got %s and error %v from an empty store", text, err)
	}
	must(t, a, http.StatusCreated, "POST", "/", `{}`)
	if answer, failure := send(t, a, "GET", "?limit=1", ""); failure != nil || answer.body.(pageJSON).HasMore {
		t.Errorf("got %+v and error %v, want the only key and no more", answer.body, failure)
	}
}

func TestRequestsThatFail(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		kind                       dialect.Kind
		field, allow               string
	}{
		{"a body that is no JSON", "POST", "/", `{`, dialect.InvalidJSON, "", ""},
		{"no body", "POST", "/", ``, dialect.InvalidJSON, "", ""},
		{"a body that is an array", "POST", "/", `[]`, dialect.InvalidJSON, "", ""},
		{"a member twice", "POST", "/", `{"name":"a","name":"b"}`, dialect.InvalidRequest, "name", ""},
		{"active on creation", "POST", "/", `{"active":true}`, dialect.Validation, "active", ""},
		{"a secret on creation", "POST", "/", `{"key":"x"}`, dialect.Validation, "key", ""},
		{"a field that rotation has not", "POST", "/ID/rotate", `{"name":"a"}`, dialect.Validation, "name", ""},
		{"a bad grace", "POST", "/ID/rotate", `{"grace":"soon"}`, dialect.Validation, "grace", ""},
		{"an import without a secret", "POST", "/import", `{}`, dialect.Validation, "key", ""},
		{"an unknown purge", "DELETE", "/ID?purge=yes", ``, dialect.Validation, "purge", ""},
		{"no limit", "GET", "/?limit=0", ``, dialect.Validation, "limit", ""},
		{"too high a limit", "GET", "/?limit=1001", ``, dialect.Validation, "limit", ""},
		{"a limit that is no number", "GET", "/?limit=all", ``, dialect.Validation, "limit", ""},
		{"a page after an unknown key", "GET", "/?after=key_0", ``, dialect.Validation, "after", ""},

		{"an unknown key", "GET", "/key_0", ``, dialect.NotFound, "", ""},
		{"changing an unknown key", "PATCH", "/key_0", `{}`, dialect.NotFound, "", ""},
		{"revoking an unknown key", "DELETE", "/key_0", ``, dialect.NotFound, "", ""},
		{"purging an unknown key", "DELETE", "/key_0?purge=true", ``, dialect.NotFound, "", ""},
		{"activating an unknown key", "POST", "/key_0/activate", ``, dialect.NotFound, "", ""},
		{"rotating an unknown key", "POST", "/key_0/rotate", ``, dialect.NotFound, "", ""},
		{"an unknown action", "POST", "/ID/explode", ``, dialect.NotFound, "", ""},
		{"too deep a path", "POST", "/ID/rotate/now", ``, dialect.NotFound, "", ""},
		{"an empty id", "GET", "//rotate", ``, dialect.NotFound, "", ""},

		{"PUT on all keys", "PUT", "/", ``, dialect.MethodNotAllowed, "", "GET, POST"},
		{"POST on a key", "POST", "/ID/", ``, dialect.MethodNotAllowed, "", "DELETE, GET, PATCH"},
		{"GET on activate", "GET", "/ID/activate", ``, dialect.MethodNotAllowed, "", "POST"},
		{"GET on rotate", "GET", "/ID/rotate/", ``, dialect.MethodNotAllowed, "", "POST"},
		{"GET on import", "GET", "/import", ``, dialect.MethodNotAllowed, "", "POST"},
	}
	a := newAPI(t)
	id := must(t, a, http.StatusCreated, "POST", "/", `{}`).ID
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, failure := send(t, a, tc.method, strings.ReplaceAll(tc.target, "ID", id), tc.body)
			if failure == nil {
				t.Fatalf("got %+v and no error", got)
			}
			if failure.Kind != tc.kind || failure.Field != tc.field || got.allow != tc.allow {
				t.Errorf("got %s at %q, allow %q (%s); want %s at %q, allow %q",
					failure.Kind, failure.Field, got.allow, failure.Message, tc.kind, tc.field, tc.allow)
			}
		})
	}
}

func TestImportsAreOffOnTheHTTPSurface(t *testing.T) {
	a := newAPI(t)
	a.imports = false
	_, failure := send(t, a, "POST", "/import", `{"key":"`+gateway.NewSecret(gateway.KeyPrefix)+`"}`)
	if failure == nil || failure.Kind != dialect.MethodNotAllowed { // "import" is then a key's id like any other
		t.Errorf("got error %v, want method_not_allowed", failure)
	}
}

func TestADeadStoreIsUnavailable(t *testing.T) {
	a := deadAPI(t)
	for _, req := range [][3]string{
		{"GET", "/", ""}, {"POST", "/", "{}"}, {"GET", "/key_0", ""}, {"PATCH", "/key_0", "{}"}, {"DELETE", "/key_0", ""},
		{"DELETE", "/key_0?purge=true", ""}, {"POST", "/key_0/activate", ""}, {"POST", "/key_0/rotate", ""},
		{"POST", "/import", `{"key":"` + gateway.NewSecret(gateway.KeyPrefix) + `"}`},
	} {
		_, failure := send(t, a, req[0], req[1], req[2])
		if failure == nil || failure.HTTPStatus() != http.StatusServiceUnavailable || failure.RetryAfter != time.Second || failure.Cause == nil {
			t.Errorf("%s %s: got %v, want store_unavailable", req[0], req[1], failure)
		}
	}
}

// TestErrorsQuoteNoSecret sends a secret wherever text can be sent by mistake.
func TestErrorsQuoteNoSecret(t *testing.T) {
	a := newAPI(t)
	secret := gateway.NewSecret(gateway.KeyPrefix)
	for _, req := range [][3]string{
		{"GET", "/" + secret, ""}, {"GET", "/?after=" + secret, ""}, {"GET", "/?limit=" + secret, ""}, {"DELETE", "/x?purge=" + secret, ""},
		{"POST", "/x/" + secret, ""}, {"POST", "/import", `{"key":"` + secret + ` "}`}, {"POST", "/", `{"team":"` + secret + secret + `"}`},
		{"POST", "/", `{"limits":["` + secret + `"]}`}, {"POST", "/", `{"expires_at":"` + secret + `"}`}, {"POST", "/x/rotate", `{"grace":"` + secret + `"}`},
		{"POST", "/", `{"` + secret + `":1}`}, {"POST", "/", `{"limits":[{"` + secret + `":1}]}`},
	} {
		_, failure := send(t, a, req[0], req[1], req[2])
		if failure == nil {
			t.Errorf("%s %s %s: no error", req[0], req[1], req[2])
			continue
		}
		if text := fmt.Sprint(failure, failure.Field, failure.Details); strings.Contains(text, secret) {
			t.Errorf("%s %s %s: the error quotes the secret: %s", req[0], req[1], req[2], text)
		}
	}
}
