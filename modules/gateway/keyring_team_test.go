package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

func teamLimits(n int64) []Limit {
	return []Limit{{Kind: LimitRequests, N: n, Window: time.Hour}}
}

// bound is the smallest count of the limits that a key's team sets; 0 where it sets none.
func (r *ring) bound(secret string) int64 {
	r.t.Helper()
	key, err := r.Find(r.t.Context(), secret)
	if err != nil {
		r.t.Fatal(err)
	}
	if key.TeamRecord == nil || len(key.TeamRecord.Limits) == 0 {
		return 0
	}
	return key.TeamRecord.Limits[0].N
}

func (r *ring) createTeam(name string, n int64) {
	r.t.Helper()
	must[*Team](r.t)(r.CreateTeam(r.t.Context(), name, teamLimits(n)))
}

func TestAKeyIsFoundWithItsTeamAtTheCostOfOneRead(t *testing.T) {
	r := newRing(t)
	r.createTeam("red", 10)
	_, first := r.create(NewKey{Team: "red"})
	_, second := r.create(NewKey{Team: "red"})
	_, alone := r.create(NewKey{Team: "blue"}) // which has no record
	for range 100 {
		if a, b, c := r.bound(first), r.bound(second), r.bound(alone); a != 10 || b != 10 || c != 0 {
			t.Fatalf("the teams' limits are %d, %d and %d", a, b, c)
		}
	}
	if n := r.store.count(); n != 3 {
		t.Errorf("the store was read %d times for 3 keys", n)
	}
}

func TestChangesOfATeamHoldForTheVeryNextCallOfItsKeys(t *testing.T) {
	r := newRing(t)
	ctx := t.Context()
	key, secret := r.create(NewKey{Team: "red"})
	other, otherSecret := r.create(NewKey{Team: "blue"})
	step := func(what string, want int64, err error) {
		t.Helper()
		if got := r.bound(secret); err != nil || got != want {
			t.Fatalf("%s: the limit is %d, %v, want %d", what, got, err, want)
		}
		r.works(otherSecret, other)
	}
	step("without a record", 0, nil)
	r.createTeam("red", 10)
	step("made", 10, nil)
	less := teamLimits(5)
	_, err := r.UpdateTeam(ctx, "red", TeamChange{Limits: &less})
	step("lowered", 5, err)
	must[*Team](t)(r.UpdateTeam(ctx, "red", TeamChange{Active: new(false)}))
	r.fails(secret)
	r.works(otherSecret, other)
	_, err = r.UpdateTeam(ctx, "red", TeamChange{Active: new(true)})
	step("active again", 5, err)
	step("deleted", 0, r.DeleteTeam(ctx, "red"))

	r.createTeam("green", 3)
	_, err = r.Update(ctx, key.ID, KeyChange{Team: new("green")})
	step("moved to another team", 3, err)
	if n := r.store.count(); n != 8 {
		t.Errorf("the store was read %d times, want 7 for the changes and 1 for the other team's key", n)
	}
}

func TestATeamsChangeThatFailsIsForgottenToo(t *testing.T) {
	for name, change := range map[string]func(r *ring) error{
		"created": func(r *ring) error { _, err := r.CreateTeam(r.t.Context(), "red", teamLimits(1)); return err },
		"updated": func(r *ring) error {
			less := teamLimits(1)
			_, err := r.UpdateTeam(r.t.Context(), "red", TeamChange{Limits: &less})
			return err
		},
		"deleted": func(r *ring) error { return r.DeleteTeam(r.t.Context(), "red") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t)
			if name != "created" {
				r.createTeam("red", 10)
			}
			_, secret := r.create(NewKey{Team: "red"})
			before := r.bound(secret)
			r.store.fails = func() error { return errBroken } // after the change was made
			if err := change(r); !errors.Is(err, errBroken) {
				t.Fatalf("the error is %v", err)
			}
			r.store.fails = nil
			if after := r.bound(secret); after == before {
				t.Errorf("the limit is still %d", after)
			}
		})
	}
}

// awayTeams is a store that is away where it is asked about teams.
type awayTeams struct{ *fakeKeys }

func (awayTeams) TeamByName(context.Context, string) (*Team, error) { return nil, errBroken }

func TestAChangeOfATeamOfAStoreThatIsAwayForgetsNoKey(t *testing.T) {
	r := newRing(t)
	r.createTeam("red", 10)
	key, secret := r.create(NewKey{Team: "red"})
	r.works(secret, key)
	r.Keyring.store = awayTeams{r.store}
	if _, err := r.UpdateTeam(t.Context(), "red", TeamChange{Active: new(false)}); !errors.Is(err, errBroken) {
		t.Errorf("the error is %v", err)
	}
	r.store.fails = func() error { return errBroken }
	r.works(secret, key)
}

func TestALookupThatBeganBeforeATeamsChangeIsNotKept(t *testing.T) {
	r := newRing(t)
	r.createTeam("red", 10)
	_, secret := r.create(NewKey{Team: "red"})
	r.store.read = func() { // the store has read the key with its team; before it returns, the team changes
		r.store.read = nil
		must[*Team](t)(r.UpdateTeam(t.Context(), "red", TeamChange{Active: new(false)}))
	}
	r.Find(t.Context(), secret) //nolint:errcheck // began before the change: either is right
	r.fails(secret)
}

func TestATeamsChangeMadeElsewhereIsSeenThroughTheFeed(t *testing.T) {
	here := newRing(t)
	there := NewKeyring(here.store, "", zap.NewNop())
	feed := followed(t, here.Keyring)
	here.createTeam("red", 10)
	_, secret := here.create(NewKey{Team: "red"})
	here.bound(secret)
	less := teamLimits(5)
	must[*Team](t)(there.UpdateTeam(t.Context(), "red", TeamChange{Limits: &less}))
	feed.Team("blue")
	if got := here.bound(secret); got != 10 {
		t.Errorf("before it is told of the change, the keyring knows the limit %d", got)
	}
	feed.Team("red")
	if got := here.bound(secret); got != 5 {
		t.Errorf("after it was told, the limit is %d", got)
	}
}

func TestFindingAKnownKeyOfATeamAllocatesNothing(t *testing.T) {
	r := newRing(t)
	r.createTeam("red", 10)
	key, secret := r.create(NewKey{Team: "red"})
	r.works(secret, key)
	if n := testing.AllocsPerRun(1000, func() { r.Find(t.Context(), secret) }); n != 0 { //nolint:errcheck // see works
		t.Errorf("%v allocations", n)
	}
}

func TestAKeyringServesATeamWhileItChanges(t *testing.T) {
	r := newRing(t)
	r.createTeam("red", 1)
	var secrets []string
	for range 8 {
		_, secret := r.create(NewKey{Team: "red"})
		secrets = append(secrets, secret)
	}
	var wg sync.WaitGroup
	for i, secret := range secrets {
		wg.Go(func() {
			last := int64(0)
			for range 500 {
				n := r.bound(secret)
				if n < last {
					t.Errorf("key %d: after the limit %d came the former one, %d", i, last, n)
				}
				last = n
			}
		})
	}
	for n := range int64(100) {
		more := teamLimits(n + 2)
		must[*Team](t)(r.UpdateTeam(t.Context(), "red", TeamChange{Limits: &more}))
		if got := r.bound(secrets[0]); got != n+2 {
			t.Fatalf("after the change the limit is %d, want %d", got, n+2)
		}
	}
	wg.Wait()
	if i := slices.IndexFunc(secrets, func(s string) bool { return r.bound(s) != 101 }); i >= 0 {
		t.Errorf("key %d does not have the last limit", i)
	}
}
