package sqlite

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

func TestConnectionsAreConfigured(t *testing.T) {
	db := handles(t, newStore(t))
	for _, test := range []struct {
		handle       *sql.DB
		name, pragma string
		want         string
	}{
		{db.write, "writer", "journal_mode", "wal"},
		{db.write, "writer", "synchronous", "1"}, // NORMAL
		{db.write, "writer", "secure_delete", "1"},
		{db.write, "writer", "busy_timeout", "5000"},
		{db.write, "writer", "foreign_keys", "1"},
		{db.write, "writer", "user_version", fmt.Sprint(latestVersion)},
		{db.read, "reader", "journal_mode", "wal"},
		{db.read, "reader", "busy_timeout", "5000"},
		{db.read, "reader", "query_only", "1"},
	} {
		var got string
		if err := test.handle.QueryRowContext(t.Context(), "PRAGMA "+test.pragma).Scan(&got); err != nil || got != test.want {
			t.Errorf("%s's %s: got %q and error %v, want %q", test.name, test.pragma, got, err, test.want)
		}
	}
	if writers := db.write.Stats().MaxOpenConnections; writers != 1 {
		t.Errorf("got %d writers, want 1", writers)
	}
}

func TestLookupsUseIndexesOnly(t *testing.T) {
	db := handles(t, newStore(t))
	hash := newHash()
	for name, query := range map[string]struct {
		text string
		args []any
	}{
		"by hash":    {sqlrow.SelectKeyByHash, []any{int64(1), hash[:]}},
		"by id":      {sqlrow.SelectKeyByID, []any{int64(1), "key_1"}},
		"page after": {sqlrow.SelectPageAfter, []any{int64(1), 10, "key_1"}},
		"team":       {sqlrow.SelectTeam, []any{"red"}},
		"teams":      {selectTeams, []any{"red", 10}},
		"used team":  {sqlrow.TeamInUse, []any{"red", int64(1)}},
	} {
		rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query.text, query.args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			// The page itself, at most as many keys as were asked for, is walked through.
			if strings.HasPrefix(step, "SCAN") && step != "SCAN k" && step != "SCAN CONSTANT ROW" {
				t.Errorf("%s: reads a whole table: %s", name, step)
			}
			if name != "page after" && strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: sorts: %s", name, step)
			}
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file of the release that had no teams opens with its keys, which name theirs.
func TestSchemaWithoutTeamsIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	hash := newHash()
	for _, statements := range []string{migrations[0], migrations[1], `PRAGMA user_version = 2`,
		`INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
			VALUES ('key_old', 'ci', 'red', '[{"kind":"requests","n":1000,"window":3600}]', '[]', true, 1700000000, 0, 0)`,
		fmt.Sprintf(`INSERT INTO secrets (hash, key_id) VALUES (x'%x', 'key_old')`, hash)} {
		if _, err := old.ExecContext(t.Context(), statements); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	store := openStore(t, path)
	key, err := store.KeyByHash(t.Context(), hash, time.Now())
	if err != nil || key.ID != "key_old" || key.Team != "red" || key.TeamRecord != nil || !key.Usable(time.Now()) {
		t.Fatalf("got %+v and error %v", key, err)
	}
	if err := store.CreateTeam(t.Context(), &gateway.Team{Name: "red", Limits: gateway.DefaultKeyLimits(), Active: true}); err != nil {
		t.Fatal(err)
	}
	if key, err = store.KeyByID(t.Context(), "key_old"); err != nil || key.TeamRecord == nil {
		t.Errorf("got %+v and error %v, want it with its team", key, err)
	}
}

func TestNewerSchemaIsRefusedAndLeftAlone(t *testing.T) {
	store := newStore(t)
	createKey(t, store)
	newer := fmt.Sprintf("PRAGMA user_version = %d", latestVersion+1)
	if _, err := handles(t, store).write.ExecContext(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, store.Path())

	err := openStore(t, store.Path()).Ping(t.Context())
	want := fmt.Sprintf("schema version %d is not known to this release, which knows up to %d", latestVersion+1, latestVersion)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
	if !bytes.Equal(readFile(t, store.Path()), before) {
		t.Error("the file was changed")
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	sound := newStore(t)
	key, hash := createKey(t, sound)
	for range 50 {
		createKey(t, sound)
	}
	if err := sound.Close(); err != nil {
		t.Fatal(err)
	}
	content := readFile(t, sound.Path())
	const page = 4096

	for name, damage := range map[string]func([]byte) []byte{
		"another format": func([]byte) []byte { return bytes.Repeat([]byte("not a database "), 1000) },
		"cut short":      func(b []byte) []byte { return b[:page+page/2] },
		"header lost":    func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) },
		"pages lost":     func(b []byte) []byte { return append(b[:page:page], bytes.Repeat([]byte{0xa5}, len(b)-page)...) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.db")
			if err := os.WriteFile(path, damage(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			store := openStore(t, path)
			if _, err := store.KeyByHash(t.Context(), hash, time.Now()); err == nil {
				t.Error("finding by hash: got no error")
			}
			if _, err := store.UpdateKey(t.Context(), key.ID, gateway.KeyChange{Active: new(false)}); err == nil {
				t.Error("updating: got no error")
			}
		})
	}
}

func TestDamagedColumnIsAnError(t *testing.T) {
	for name, damage := range map[string]string{
		"limits":        `UPDATE keys SET limits = '[{"kind":'`,
		"models":        `UPDATE keys SET models = '{}'`,
		"team's limits": `INSERT INTO teams SELECT team, '{', true, 0 FROM keys`,
		"retiring hash": `PRAGMA ignore_check_constraints = ON; UPDATE secrets SET hash = x'00' WHERE until IS NOT NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			key, _ := createKey(t, store)
			if _, err := store.RotateKey(t.Context(), key.ID, newHash(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := handles(t, store).write.ExecContext(t.Context(), damage); err != nil {
				t.Fatal(err)
			}
			if got, err := store.KeyByID(t.Context(), key.ID); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

func TestPathThatIsAFolderIsAnError(t *testing.T) {
	if err := openStore(t, t.TempDir()).Ping(t.Context()); err == nil {
		t.Error("got no error")
	}
}
