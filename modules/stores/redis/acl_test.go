package redis

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

// documentedUser is the ACL user that docs/CONFIGURATION.md says to make, as words of ACL SETUSER, and more.
func documentedUser(t *testing.T, more ...string) (words []any) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(text), "\nuser gateway ")
	if !found {
		t.Fatal("the documentation has no line that begins with: user gateway")
	}
	line, _, _ = strings.Cut(line, "\n")
	words = []any{"ACL", "SETUSER", "gateway"}
	for _, word := range append(strings.Fields(line), more...) {
		words = append(words, word)
	}
	return words
}

// asUser is a URL with the documented user's credential.
func asUser(url string) string { return strings.Replace(url, "://", "://gateway:secret@", 1) }

// refusals are what a server did not let the user do, as it tells.
func refusals(t *testing.T, s *redistest.Server) (all []string) {
	t.Helper()
	log, err := s.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range log {
		all = append(all, fmt.Sprint(entry))
	}
	return all
}

// commands are those that a server was asked for, from within scripts too.
func commands(t *testing.T, s *redistest.Server) (names []string) {
	t.Helper()
	text, err := s.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if name, found := strings.CutPrefix(line, "cmdstat_"); found && !strings.Contains(line, ":calls=0,") {
			name, _, _ = strings.Cut(name, ":")
			names = append(names, name)
		}
	}
	return names
}

// useSuites has a server do what limiters and answers are tested with.
func useSuites(t *testing.T, url string, empty func()) {
	storetest.Limiter(t, func(t *testing.T) (gateway.Limiter, func(time.Duration)) {
		empty()
		l := openLimiter(t, newClient(t, url, 10*time.Second, nopLog), Deny, nil)
		return settled{l}, withClock(t, l, new(fakeClock))
	})
	storetest.Answers(t, func(t *testing.T) (gateway.AnswerStore, storetest.Clock) {
		empty()
		clock := &suiteClock{now: time.Now()}
		store := openCache(t, url, func(a *Answers) {
			a.now, a.maxBytes = clock.Now, storetest.AnswerBytes
			a.first = func() gateway.AnswerStore {
				return &shelf{clock: clock, bytes: storetest.AnswerBytes, held: make(map[gateway.AnswerKey]*gateway.Answer)}
			}
		})
		withFirstLevel(t, store)
		return store, clock
	})
}

// use has servers do what gateways ask of them, on all masters of a Cluster.
func use(t *testing.T, url string) {
	a, b := openCache(t, url, quickLeases), openCache(t, url, quickLeases)
	for i := range byte(12) {
		key := gateway.AnswerKey{i}
		release, _ := takeLease(t, a, key)
		waited := make(chan struct{})
		go func() { defer close(waited); b.Await(t.Context(), key) }()
		within(t, 10*time.Second, "somebody to wait", func() bool { b.waits.mu.Lock(); defer b.waits.mu.Unlock(); return b.waits.ends != nil })
		release()
		<-waited
	}
	withFirstLevel(t, a)
	putAnswer(t, a, gateway.AnswerKey{1}, anAnswer("kept"))
	bringNear(t, a, gateway.AnswerKey{1}, "kept")
	l := member(t, newClient(t, url, 10*time.Second, nopLog), hasty)
	if err := l.client.Ping(t.Context()); err != nil {
		t.Errorf("asking for a sign of life: %v", err)
	}
	for _, n := range []int64{100, 20_000, 100} { // from one form to the other and back
		for range 30 {
			for _, team := range []string{"team:a", "team:b", "team:c"} {
				claims := of(team, requests("key:"+team, n, time.Hour), tokens("key:"+team, 1e6, 10, time.Hour), concurrency("key:"+team, 9))
				admit(t, l, -1, claims...)
				l.renew(t.Context())
				l.Settle(t.Context(), claims)
			}
		}
	}
	l.Close()
}

// tellTale leaves out what is asked for a warning only.
func tellTale(entry string) bool { return !strings.Contains(entry, "object:info") }

func TestTheDocumentedUserMayDoWhatGatewaysDoAndNothingElse(t *testing.T) {
	s := redistest.Start(t)
	user := documentedUser(t)
	if err := s.Do(t.Context(), user...).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	useSuites(t, asUser(s.URL()), func() { s.FlushAll(t.Context()) })
	use(t, asUser(s.URL()))
	for _, entry := range refusals(t, s) {
		if tellTale(entry) {
			t.Errorf("refused: %s", entry)
		}
	}
	used := commands(t, s)
	for _, word := range user {
		if command, allowed := strings.CutPrefix(word.(string), "+"); allowed && !slices.Contains(used, command) {
			t.Errorf("%s may be used, and never is", command)
		}
	}
}

func TestTheDocumentedUserIsEnoughOnAClusterAndInADatabase(t *testing.T) {
	masters, url := redistest.StartCluster(t)
	for _, s := range masters {
		if err := s.Do(t.Context(), documentedUser(t, "+cluster|slots", "+info")...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	use(t, asUser(url))
	single := redistest.Start(t)
	if err := single.Do(t.Context(), documentedUser(t, "+select", "+info")...).Err(); err != nil {
		t.Fatal(err)
	}
	l := member(t, newClient(t, asUser(single.URL())+"/3", 5*time.Second, nopLog))
	admit(t, l, -1, requests("key:a", 3, time.Hour))
	for _, s := range append(masters, single) {
		for _, entry := range refusals(t, s) {
			t.Errorf("refused: %s", entry)
		}
	}
}

func TestAWrongPasswordIsSaidSoAndThePolicyDecides(t *testing.T) {
	masters, cluster := redistest.StartCluster(t)
	single := redistest.Start(t)
	for _, s := range append(masters, single) {
		if err := s.Do(t.Context(), documentedUser(t, "+cluster|slots")...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, url := range map[string]string{"one server": single.URL(), "a cluster": cluster} {
		t.Run(name, func(t *testing.T) {
			log, logs := observed()
			l := member(t, newClient(t, strings.Replace(url, "://", "://gateway:hunter2@", 1), time.Second, log))
			for range 2 * openAfter {
				admit(t, l, -1, requests("key:a", 100, time.Hour))
			}
			if l.client.Up() {
				t.Error("redis is still asked")
			}
			if logs.FilterMessageSnippet("check user, password and rights").Len() != 1 || logs.Len() != 1 {
				t.Errorf("want one line that says what to check: %v", logs.All())
			}
			for _, entry := range logs.All() {
				if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "hunter2") {
					t.Errorf("the password is in the log: %s", text)
				}
			}
			deny := openLimiter(t, newClient(t, strings.Replace(url, "://", "://gateway:hunter2@", 1), time.Second, nopLog), Deny, nil)
			_, err := deny.Admit(t.Context(), []gateway.Claim{requests("key:a", 1, time.Hour)})
			if e := new(dialect.Error); !errors.As(err, &e) || e.HTTPStatus() != 503 {
				t.Errorf("error is %v, want a 503", err)
			}
		})
	}
}
