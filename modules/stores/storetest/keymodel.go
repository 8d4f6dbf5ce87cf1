package storetest

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Texts hold any character but NUL, which not every database can keep.
var keyTexts = rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))

var keyLimits = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gateway.Limit {
	limit := gateway.Limit{
		Kind: rapid.SampledFrom([]gateway.LimitKind{
			gateway.LimitRequests, gateway.LimitTokens, gateway.LimitConcurrency,
		}).Draw(t, "kind"),
		N: rapid.Int64Min(1).Draw(t, "n"),
	}
	if limit.Kind != gateway.LimitConcurrency {
		limit.Window = time.Duration(rapid.Int64Range(1, 31*24*3600).Draw(t, "window")) * time.Second
	}
	return limit
}), 0, 4)

// teamNames are those that have a record now and then.
var teamNames = []string{"red", "blue", "Blue"}

var keyModelNames = rapid.SliceOfN(keyTexts, 0, 4)

// keyTime draws a time to the given unit, or the zero time.
func keyTime(t *rapid.T, unit time.Duration, label string) time.Time {
	const span = 4_000_000_000 * time.Second // into the year 2096
	n := rapid.Int64Range(0, int64(span/unit)).Draw(t, label)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n*int64(unit/time.Second), 0).UTC()
}

func drawKey(t *rapid.T) *gateway.Key {
	return &gateway.Key{
		ID:       newKeyID(),
		Name:     keyTexts.Draw(t, "name"),
		Team:     rapid.OneOf(rapid.SampledFrom(teamNames), keyTexts).Draw(t, "team"),
		Limits:   keyLimits.Draw(t, "limits"),
		Models:   keyModelNames.Draw(t, "models"),
		Active:   rapid.Bool().Draw(t, "active"),
		Created:  keyTime(t, time.Second, "created"),
		Expires:  keyTime(t, time.Second, "expires"),
		LastUsed: keyTime(t, time.Minute, "last used"),
	}
}

func (s *keySuite) roundTrip() {
	rapid.Check(s.T, func(t *rapid.T) {
		key, hash := drawKey(t), newKeyHash()
		for range rapid.IntRange(0, 3).Draw(t, "retiring") {
			until := s.now.Add(time.Duration(rapid.Int64Range(3600, 1e9).Draw(t, "until")) * time.Second)
			key.Retiring = append(key.Retiring, gateway.RetiringHash{Hash: newKeyHash(), Until: until})
		}
		if err := s.store.CreateKey(s.Context(), key, hash); err != nil {
			t.Fatalf("creating %+v: %v", key, err)
		}
		got, err := s.store.KeyByID(s.Context(), key.ID)
		if err != nil || !equalKeys(got, key) {
			t.Fatalf("by id: got\n%+v and error %v, want\n%+v", got, err, key)
		}
		for _, secret := range append(key.Retiring, gateway.RetiringHash{Hash: hash}) {
			got, err := s.store.KeyByHash(s.Context(), secret.Hash, s.now)
			if err != nil || !equalKeys(got, key) {
				t.Fatalf("by hash: got\n%+v and error %v, want\n%+v", got, err, key)
			}
		}
	})
}

// keyModel is a key store that is too simple to be wrong.
type keyModel struct {
	*keySuite
	keys  []*gateway.Key // in order of creation
	teams map[string]*gateway.Team
	owner map[gateway.KeyHash]*gateway.Key
	gone  []gateway.KeyHash // lead nowhere since the last check
}

func (s *keySuite) agreesWithModel() {
	rapid.Check(s.T, func(t *rapid.T) {
		m := &keyModel{keySuite: s, owner: make(map[gateway.KeyHash]*gateway.Key), teams: make(map[string]*gateway.Team)}
		t.Cleanup(func() {
			for _, key := range m.keys {
				if err := s.store.DeleteKey(s.Context(), key.ID); err != nil {
					t.Errorf("deleting key: %v", err)
				}
			}
			for name := range m.teams {
				if err := s.store.DeleteTeam(s.Context(), name); err != nil {
					t.Errorf("deleting team: %v", err)
				}
			}
		})
		t.Repeat(map[string]func(*rapid.T){
			"create":      m.create,
			"update":      m.update,
			"rotate":      m.rotate,
			"delete":      m.delete,
			"touch":       m.touch,
			"create team": m.createTeam,
			"update team": m.updateTeam,
			"delete team": m.deleteTeam,
			"":            m.check,
		})
	})
}

// pick draws one of the keys, making one where there is none.
func (m *keyModel) pick(t *rapid.T) *gateway.Key {
	if len(m.keys) == 0 {
		m.create(t)
	}
	return rapid.SampledFrom(m.keys).Draw(t, "key")
}

func (m *keyModel) create(t *rapid.T) {
	if len(m.keys) == 4 { // more would only be slower
		m.delete(t)
	}
	key, hash := drawKey(t), newKeyHash()
	key.Created = m.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "second")) * time.Second)
	if err := m.store.CreateKey(m.Context(), key, hash); err != nil {
		t.Fatalf("creating key: %v", err)
	}
	key.TeamRecord = m.teams[key.Team]
	m.keys = append(m.keys, key)
	slices.SortStableFunc(m.keys, func(a, b *gateway.Key) int { return a.Created.Compare(b.Created) })
	m.owner[hash] = key
}

func (m *keyModel) update(t *rapid.T) {
	key, drawn := m.pick(t), drawKey(t)
	var change gateway.KeyChange
	for _, field := range []func(){
		func() { change.Name, key.Name = &drawn.Name, drawn.Name },
		func() { change.Team, key.Team = &drawn.Team, drawn.Team },
		func() { change.Limits, key.Limits = &drawn.Limits, drawn.Limits },
		func() { change.Models, key.Models = &drawn.Models, drawn.Models },
		func() { change.Active, key.Active = &drawn.Active, drawn.Active },
		func() { change.Expires, key.Expires = &drawn.Expires, drawn.Expires },
	} {
		if rapid.Bool().Draw(t, "changed") {
			field()
		}
	}
	key.TeamRecord = m.teams[key.Team]
	got, err := m.store.UpdateKey(m.Context(), key.ID, change)
	if err != nil || !equalKeys(got, key) {
		t.Fatalf("updating: got\n%+v and error %v, want\n%+v", got, err, key)
	}
}

func (m *keyModel) rotate(t *rapid.T) {
	key, hash := m.pick(t), newKeyHash()
	grace := rapid.SampledFrom([]time.Duration{-time.Hour, time.Hour, 2 * time.Hour}).Draw(t, "grace")
	for former, owner := range m.owner {
		retiring := slices.ContainsFunc(key.Retiring, func(r gateway.RetiringHash) bool { return r.Hash == former })
		if owner != key || retiring {
			continue
		}
		if grace > 0 {
			key.Retiring = append(key.Retiring, gateway.RetiringHash{Hash: former, Until: m.now.Add(grace)})
		} else {
			m.forget(former)
		}
	}
	got, err := m.store.RotateKey(m.Context(), key.ID, hash, m.now.Add(grace))
	if err != nil || !equalKeys(got, key) {
		t.Fatalf("rotating: got\n%+v and error %v, want\n%+v", got, err, key)
	}
	m.owner[hash] = key
}

func (m *keyModel) forget(hash gateway.KeyHash) {
	delete(m.owner, hash)
	m.gone = append(m.gone, hash)
}

func (m *keyModel) delete(t *rapid.T) {
	key := m.pick(t)
	if err := m.store.DeleteKey(m.Context(), key.ID); err != nil {
		t.Fatalf("deleting: %v", err)
	}
	m.keys = slices.DeleteFunc(m.keys, func(k *gateway.Key) bool { return k == key })
	for hash, owner := range m.owner {
		if owner == key {
			m.forget(hash)
		}
	}
}

func (m *keyModel) touch(t *rapid.T) {
	key, at := m.pick(t), keyTime(t, time.Minute, "use")
	if at.After(key.LastUsed) {
		key.LastUsed = at
	}
	if err := m.store.TouchKeys(m.Context(), map[string]time.Time{key.ID: at}); err != nil {
		t.Fatalf("touching: %v", err)
	}
}

func (m *keyModel) check(t *rapid.T) {
	m.checkTeams(t)
	got, err := m.store.ListKeys(m.Context(), "", len(m.keys)+1)
	if err != nil || !slices.EqualFunc(got, m.keys, equalKeys) {
		t.Fatalf("listing: got\n%+v and error %v, want\n%+v", got, err, m.keys)
	}
	for hash, key := range m.owner {
		if got, err := m.store.KeyByHash(m.Context(), hash, m.now); err != nil || !equalKeys(got, key) {
			t.Fatalf("by hash: got\n%+v and error %v, want\n%+v", got, err, key)
		}
	}
	for _, hash := range m.gone {
		if _, err := m.store.KeyByHash(m.Context(), hash, m.now); !errors.Is(err, gateway.ErrKeyNotFound) {
			t.Fatalf("by a hash that is gone: got error %v, want ErrKeyNotFound", err)
		}
	}
	m.gone = nil
}
