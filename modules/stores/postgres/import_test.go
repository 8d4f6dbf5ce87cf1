package postgres

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlite"
)

func newSource(t *testing.T) *sqlite.Store {
	source := sqlite.New(filepath.Join(t.TempDir(), "keys.db"))
	t.Cleanup(func() { source.Close() })
	return source
}

// fill makes keys of every kind and returns the hashes that work, with the ids that they lead to.
func fill(t *testing.T, source *sqlite.Store) map[gateway.KeyHash]string {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	for _, team := range []*gateway.Team{
		{Name: "a", Limits: gateway.DefaultKeyLimits(), Active: true, Created: now}, {Name: "b", Created: now.Add(-time.Hour)},
	} {
		if err := source.CreateTeam(t.Context(), team); err != nil {
			t.Fatal(err)
		}
	}
	work := make(map[gateway.KeyHash]string)
	for _, key := range []*gateway.Key{
		{ID: "key_late", Name: "ci", Team: "a", Limits: gateway.DefaultKeyLimits(), Models: []string{"fast"}, Active: true, Created: now},
		{ID: "key_b", Name: "first", Active: true, Created: now.Add(-time.Hour)},
		{ID: "key_a", Active: false, Created: now.Add(-time.Hour), Expires: now.Add(time.Hour), LastUsed: now.Truncate(time.Minute)},
	} {
		former, current := newHash(), newHash()
		if err := source.CreateKey(t.Context(), key, former); err != nil {
			t.Fatal(err)
		}
		if _, err := source.RotateKey(t.Context(), key.ID, current, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		work[former], work[current] = key.ID, key.ID
	}
	return work
}

func sameKeys(t *testing.T, got, want gateway.KeyStore) {
	t.Helper()
	gotKeys, err := got.ListKeys(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	wantKeys, err := want.ListKeys(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotKeys, wantKeys) {
		t.Errorf("got %d keys\n%+v\nwant %d\n%+v", len(gotKeys), gotKeys, len(wantKeys), wantKeys)
	}
}

func sameTeams(t *testing.T, got, want gateway.KeyStore) {
	t.Helper()
	gotTeams, err := got.ListTeams(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	wantTeams, err := want.ListTeams(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotTeams, wantTeams) {
		t.Errorf("got %d teams\n%+v\nwant %d\n%+v", len(gotTeams), gotTeams, len(wantTeams), wantTeams)
	}
}

func TestImportCopiesEverything(t *testing.T) {
	source, target := newSource(t), newStore(t)
	work := fill(t, source)
	admin := newHash()
	if _, err := source.SetAdminHash(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	var steps []int
	done, err := target.Import(t.Context(), source, func(so Imported) { steps = append(steps, so.Created) })
	if want := (Imported{Created: 3, Teams: 2, Admin: true}); err != nil || !reflect.DeepEqual(done, want) {
		t.Fatalf("got %+v and error %v, want %+v", done, err, want)
	}
	if !slices.Equal(steps, []int{1, 2, 3}) {
		t.Errorf("got progress %v", steps)
	}
	sameTeams(t, target, source)
	sameKeys(t, target, source)
	for hash, id := range work {
		if key, err := target.KeyByHash(t.Context(), hash, time.Now()); err != nil || key.ID != id {
			t.Errorf("got %+v and error %v, want key %s", key, err, id)
		}
	}
	// The current secret is known as such: rotation lets it go at once.
	for hash, id := range work {
		hashes, err := source.HashesOf(t.Context(), id)
		if err != nil || hashes[0] != hash {
			continue
		}
		if _, err := target.RotateKey(t.Context(), id, newHash(), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := target.KeyByHash(t.Context(), hash, time.Now()); !errors.Is(err, gateway.ErrKeyNotFound) {
			t.Errorf("key %s: got error %v, want ErrKeyNotFound", id, err)
		}
	}
	if got, found, err := target.AdminHash(t.Context()); err != nil || !found || got != admin {
		t.Errorf("got admin hash %x, %v and error %v", got, found, err)
	}
}

func TestImportLeavesWhatIsThere(t *testing.T) {
	source, target := newSource(t), newStore(t)
	fill(t, source)
	admin := newHash()
	for _, store := range []gateway.KeyStore{target, source} {
		hash := admin
		if store == gateway.KeyStore(source) {
			hash = newHash()
		}
		if _, err := store.SetAdminHash(t.Context(), hash); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done, err := target.Import(ctx, source, func(Imported) { cancel() })
	if !errors.Is(err, context.Canceled) || done.Created != 1 {
		t.Fatalf("got %+v and error %v from an import that was cut off", done, err)
	}
	// The first key, here, is revoked meanwhile; another one is made of the last one's secret.
	if _, err := target.UpdateKey(t.Context(), "key_b", gateway.KeyChange{Active: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.UpdateTeam(t.Context(), "b", gateway.TeamChange{Active: new(true)}); err != nil {
		t.Fatal(err)
	}
	hashes, err := source.HashesOf(t.Context(), "key_late")
	if err != nil {
		t.Fatal(err)
	}
	if err := target.CreateKey(t.Context(), &gateway.Key{ID: "key_own", Active: true, Created: time.Now()}, hashes[0]); err != nil {
		t.Fatal(err)
	}

	for _, want := range []Imported{
		{Created: 1, Present: 1, Taken: []string{"key_late"}, TeamsPresent: 2},
		{Present: 2, Taken: []string{"key_late"}, TeamsPresent: 2},
	} {
		if done, err := target.Import(t.Context(), source, func(Imported) {}); err != nil || !reflect.DeepEqual(done, want) {
			t.Errorf("got %+v and error %v, want %+v", done, err, want)
		}
	}
	if key, err := target.KeyByID(t.Context(), "key_b"); err != nil || key.Active {
		t.Errorf("got %+v and error %v, want a key that stays revoked", key, err)
	}
	if team, err := target.TeamByName(t.Context(), "b"); err != nil || !team.Active {
		t.Errorf("got %+v and error %v, want a team that stays active", team, err)
	}
	if got, _, err := target.AdminHash(t.Context()); err != nil || got != admin {
		t.Errorf("got admin hash %x and error %v, want %x", got, err, admin)
	}
}

// A secret that is rotated while its key waits for its turn must not become current without the one before it.
func TestImportIsOfOneMoment(t *testing.T) {
	source, target, moment := newSource(t), newStore(t), newStore(t)
	fill(t, source)
	if _, err := moment.Import(t.Context(), source, func(Imported) {}); err != nil {
		t.Fatal(err)
	}
	want, err := moment.HashesOf(t.Context(), "key_late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Import(t.Context(), source, func(so Imported) {
		if so.Created != 1 {
			return
		}
		if _, err := source.RotateKey(t.Context(), "key_late", newHash(), time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if err := source.DeleteKey(t.Context(), "key_a"); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	sameKeys(t, target, moment)
	if got, err := target.HashesOf(t.Context(), "key_late"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got hashes %x and error %v, want %x", got, err, want)
	}
}

// More keys and teams than are held in memory at once.
func TestImportGoesThroughPages(t *testing.T) {
	source, target := newSource(t), newStore(t)
	now := time.Now().UTC().Truncate(time.Second)
	for range 1001 {
		key := &gateway.Key{ID: gateway.NewKeyID(), Active: true, Created: now}
		if err := source.CreateKey(t.Context(), key, newHash()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range teamPage + 1 {
		if err := source.CreateTeam(t.Context(), &gateway.Team{Name: fmt.Sprint("team-", i), Created: now}); err != nil {
			t.Fatal(err)
		}
	}
	done, err := target.Import(t.Context(), source, func(Imported) {})
	if err != nil || done.Created != 1001 || done.Teams != teamPage+1 {
		t.Fatalf("got %+v and error %v", done, err)
	}
	sameTeams(t, target, source)
	sameKeys(t, target, source)
}

func TestImportCopiesWhoseFilesAre(t *testing.T) {
	source, target := newSource(t), newStore(t)
	now := time.Now().UTC().Truncate(time.Second)
	file := func(provider, id, owner string) *gateway.File {
		return &gateway.File{Provider: provider, ID: id, Owner: owner, Purpose: "batch", Created: now, Expires: now.Add(time.Hour), Object: []byte(`{}`)}
	}
	for _, f := range []*gateway.File{file("a", "file-1", "team:a"), file("b", "file-1", "key:b"), file("a", "file-2", "key:b")} {
		if err := source.AddFile(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	if err := target.AddFile(t.Context(), file("a", "file-2", "key:here")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Imported{{Files: 2, FilesPresent: 1}, {FilesPresent: 3}} {
		if done, err := target.Import(t.Context(), source, func(Imported) {}); err != nil || !reflect.DeepEqual(done, want) {
			t.Errorf("got %+v and error %v, want %+v", done, err, want)
		}
	}
	for _, want := range []*gateway.File{file("a", "file-1", "team:a"), file("b", "file-1", "key:b"), file("a", "file-2", "key:here")} {
		if got, err := target.FileByID(t.Context(), want.Owner, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v and error %v, want %+v", got, err, want)
		}
	}
}

func TestImportOfNothingIsNoError(t *testing.T) {
	if done, err := newStore(t).Import(t.Context(), newSource(t), func(Imported) {}); err != nil || !reflect.DeepEqual(done, Imported{}) {
		t.Errorf("got %+v and error %v", done, err)
	}
}

func TestImportSaysWhatWentWrong(t *testing.T) {
	source, target := newSource(t), newStore(t)
	fill(t, source)
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Import(t.Context(), source, func(Imported) {}); !errors.Is(err, errClosed) {
		t.Errorf("to a closed store: got error %v, want %v", err, errClosed)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := newStore(t).Import(t.Context(), source, func(Imported) {}); err == nil {
		t.Error("from a closed store: got no error")
	}
}
