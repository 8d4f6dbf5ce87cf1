package postgres

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// Schemas are meant to differ where the databases do and nowhere else.
func TestSchemaIsSQLites(t *testing.T) {
	differences := strings.NewReplacer(
		"BLOB", "BYTEA",
		"seq INTEGER PRIMARY KEY", "seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		" WITHOUT ROWID", "",
	)
	files, err := schemaFiles.ReadDir("schema")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		theirs, err := os.ReadFile("../sqlite/schema/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		ours, err := schemaFiles.ReadFile("schema/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(theirs), "CREATE")
		want = differences.Replace(strings.Join(strings.Fields(want), " "))
		_, got, _ := strings.Cut(string(ours), "CREATE")
		if got = strings.Join(strings.Fields(got), " "); got != want {
			t.Errorf("%s: got schema\n%s\nwant\n%s", file.Name(), got, want)
		}
	}
}

func appliedVersions(t *testing.T, store *Store) string {
	t.Helper()
	rows, err := connect(t, store.config.ConnString()).Query(t.Context(),
		`SELECT version_id FROM `+versionTable+` WHERE is_applied ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(versions)
}

func TestMigrationsRunOnce(t *testing.T) {
	store := newStore(t)
	createKey(t, store)
	want := appliedVersions(t, store)
	if !strings.HasSuffix(want, fmt.Sprintf(" %d]", latestVersion)) {
		t.Errorf("got versions %s, want them to end with %d", want, latestVersion)
	}
	pool, err := store.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), pool); err != nil {
		t.Errorf("migrating again: %v", err)
	}
	if got := appliedVersions(t, store); got != want {
		t.Errorf("got versions %s, want %s", got, want)
	}
	if count, err := store.CountKeys(t.Context()); err != nil || count != 1 {
		t.Errorf("got %d keys and error %v, want 1", count, err)
	}
}

// Gateways of a new release find the database of an old one, and may all start at once.
func TestGatewaysBringAnOlderSchemaUpToDateAtOnce(t *testing.T) {
	url := shared.newDatabase(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	steps, err := migrations(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := steps.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `INSERT INTO settings (name, value) VALUES ('admin_hash', decode(repeat('ab', 32), 'hex'))`)

	stores := make([]*Store, 8)
	var group sync.WaitGroup
	for i := range stores {
		stores[i] = openStore(t, url)
		group.Go(func() {
			if _, found, err := stores[i].AdminHash(t.Context()); !found || err != nil {
				t.Errorf("what the older release stored: found %t, %v", found, err)
			}
			if err := stores[i].AddUsage(t.Context(), gateway.Batch{Writer: fmt.Sprint(i), Number: 1}, []gateway.UsageRow{{Calls: 1}}); err != nil {
				t.Errorf("what the newer release adds: %v", err)
			}
		})
	}
	group.Wait()
	want := "[0"
	for version := range latestVersion {
		want += fmt.Sprint(" ", version+1)
	}
	if got := appliedVersions(t, stores[0]); got != want+"]" {
		t.Errorf("got versions %s, want %s]", got, want)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	store := newStore(t)
	createKey(t, store)
	url := store.config.ConnString()
	execute(t, url, fmt.Sprintf(`INSERT INTO %s (version_id, is_applied) VALUES (%d, true)`, versionTable, latestVersion+1))

	err := openStore(t, url).Ping(t.Context())
	want := fmt.Sprintf("schema version %d is not known to this release, which knows up to %d", latestVersion+1, latestVersion)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// A database of the release that had no teams opens with its keys, which name theirs.
func TestSchemaWithoutTeamsIsBroughtUpToDate(t *testing.T) {
	store := newStore(t)
	url := store.config.ConnString()
	db := stdlib.OpenDB(*store.config.ConnConfig)
	defer db.Close()
	steps, err := migrations(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := steps.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
		VALUES ('key_old', 'ci', 'red', '[{"kind":"requests","n":1000,"window":3600}]', '[]', true, 1700000000, 0, 0)`)
	execute(t, url, `INSERT INTO secrets (hash, key_id) VALUES (sha256('old'), 'key_old')`)

	key, err := store.KeyByHash(t.Context(), gateway.HashKey("old"), time.Now())
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

func TestFailedMigrationIsTriedAgain(t *testing.T) {
	store := newStore(t)
	url := store.config.ConnString()
	execute(t, url, `CREATE TABLE settings (mine TEXT)`) // another program's
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), `"settings" already exists`) {
		t.Errorf("got error %v, want one that names the table in the way", err)
	}
	execute(t, url, `DROP TABLE settings`)
	createKey(t, store)
}

func TestLookupsUseIndexesOnly(t *testing.T) {
	store := newStore(t)
	createKey(t, store)
	url := store.config.ConnString()
	execute(t, url, `INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
		SELECT 'key_' || n, '', n, '[]', '[]', true, n, 0, 0 FROM generate_series(1, 20000) n`)
	execute(t, url, `INSERT INTO teams (name, limits, active, created) SELECT n, '[]', true, n FROM generate_series(1, 20000) n`)
	execute(t, url, `INSERT INTO secrets (hash, key_id) SELECT sha256(id::bytea), id FROM keys WHERE created <= 20000`)
	execute(t, url, `ANALYZE`)
	conn := connect(t, url)
	hash := newHash()
	for name, query := range map[string]struct {
		text string
		args []any
	}{
		"by hash":    {sqlrow.SelectKeyByHash, []any{int64(1), hash[:]}},
		"by id":      {sqlrow.SelectKeyByID, []any{int64(1), "key_1"}},
		"page after": {sqlrow.SelectPageAfter, []any{int64(1), 10, "key_1"}},
		"hashes":     {sqlrow.SelectHashes, []any{"key_1"}},
		"team":       {sqlrow.SelectTeam, []any{"1"}},
		"used team":  {sqlrow.TeamInUse, []any{"1", int64(1)}},
	} {
		rows, err := conn.Query(t.Context(), "EXPLAIN "+query.text, query.args...)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") {
			t.Errorf("%s reads a whole table:\n%s", name, text)
		}
	}
}
