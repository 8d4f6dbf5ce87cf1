package postgres

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfileTakesAURL(t *testing.T) {
	for text, want := range map[string]string{
		`postgres`: "", `postgres {env.KEYS_URL}`: "{env.KEYS_URL}",
	} {
		var db Database
		if err := db.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil || db.URL != want {
			t.Errorf("%s: got url %q and error %v, want %q", text, db.URL, err, want)
		}
	}
	for _, text := range []string{`postgres a b`, "postgres a {\n b\n}"} {
		var db Database
		if err := db.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil {
			t.Errorf("%s: got no error", text)
		}
	}
}

func TestURLComesFromItsPlaceholder(t *testing.T) {
	url := shared.newDatabase(t)
	t.Setenv("KEYS_URL", url)
	t.Setenv("DATABASE_URL", url)
	for _, given := range []string{"{env.KEYS_URL}", ""} {
		db := &Database{URL: given}
		if err := db.UseDataDir(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if err := db.Keys().Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if db.URL != given {
			t.Errorf("the config became %q, which may be shown, want %q", db.URL, given)
		}
		if err := db.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestEmptyOrBrokenURLRefusesTheConfig(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("BROKEN_URL", "postgres://gateway:c4nary/x@host/db")
	for given, want := range map[string]string{
		"":                 "url {env.DATABASE_URL} is empty",
		"{env.NO_SUCH}":    "url {env.NO_SUCH} is empty",
		"{env.BROKEN_URL}": "postgres://user:password@host",
	} {
		db := &Database{URL: given}
		err := db.UseDataDir("")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", given, err, want)
			continue
		}
		hidesPassword(t, err)
		if err := db.Release(); err != nil {
			t.Errorf("releasing what was never used: %v", err)
		}
	}
}

func TestReloadKeepsTheStoreOpen(t *testing.T) {
	t.Setenv("DATABASE_URL", shared.newDatabase(t))
	var former, next Database
	for _, db := range []*Database{&former, &next} {
		if err := db.UseDataDir(""); err != nil {
			t.Fatal(err)
		}
	}
	if former.store != next.store {
		t.Error("a config with the same url opened another store")
	}
	for range 2 { // the second time does nothing
		if err := former.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.Keys().Ping(t.Context()); err != nil {
		t.Errorf("the store that is still used was closed: %v", err)
	}
	if err := next.Release(); err != nil {
		t.Fatal(err)
	}
	if err := next.Keys().Ping(t.Context()); err == nil {
		t.Error("the store outlives its last user")
	}
}
