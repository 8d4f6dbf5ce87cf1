package redis

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

func TestCallsGoOnWhileSentinelsReplaceTheMasterAndTheNewOneDecides(t *testing.T) {
	for name, replace := range map[string]func(*redistest.Sentinels){
		"that was killed":        func(s *redistest.Sentinels) { s.Master.Kill() },
		"that hangs":             func(s *redistest.Sentinels) { s.Master.Pause() },
		"at an operator's order": func(s *redistest.Sentinels) { s.Failover(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.StartSentinels(t)
			log, logs := observed()
			const budget = 200 * time.Millisecond
			client := newClient(t, s.URL, budget, log)
			l := member(t, client)
			store := newAnswers(client, func() gateway.AnswerStore { return memory.NewAnswers(1 << 20) }, 1<<20, log)
			t.Cleanup(func() { store.Close() }) //nolint:errcheck // it never fails
			await(t, "the master", func() bool { return client.Ping(t.Context()) == nil })
			for range 4 {
				admit(t, l, -1, requests("key:few", 100, time.Hour))
			}
			withFirstLevel(t, store)
			putAnswer(t, store, gateway.AnswerKey{1}, anAnswer("kept"))
			if n, err := s.Master.Do(t.Context(), "WAIT", 1, 5000).Int(); err != nil || n != 1 {
				t.Fatalf("%d replicas have it, error %v", n, err)
			}
			load := startLoad(t, l, 8, plenty)
			await(t, "decisions", func() bool { return load.decisions() > 100 })

			replace(s)
			began := time.Now()
			await(t, "the replica to be the master", func() bool { return s.Replica.Do(t.Context(), "ROLE").Val().([]any)[0] == "master" })
			elected := time.Now()
			await(t, "redis to be asked", client.Up)
			before := s.Replica.Calls("evalsha")
			await(t, "the new master to decide", func() bool { return s.Replica.Calls("evalsha") > before+100 })
			t.Logf("the new master was elected after %v, and decided %v later", elected.Sub(began), time.Since(elected))
			if took := time.Since(elected); took > backWithin+500*time.Millisecond {
				t.Errorf("the new master decided %v after it was elected", took)
			}
			load.stop()

			if load.failed > 0 || load.refused > 0 {
				t.Errorf("%d calls failed and %d were refused, want none", load.failed, load.refused)
			}
			if most := slices.Max(load.took); most > budget+250*time.Millisecond {
				t.Errorf("a decision took %v, want %v at most", most, budget)
			}
			if got := admit(t, l, -1, requests("key:few", 100, time.Hour)); got[0].Remaining != 95 {
				t.Errorf("%d remaining after 5 of 100, four of which the former master had admitted", got[0].Remaining)
			}
			await(t, "the first level to follow the new master", func() bool {
				return bodyOf(t, store, gateway.AnswerKey{1}) == "kept" && near(store, gateway.AnswerKey{1})
			})
			if err := s.Replica.Del(t.Context(), answerName(gateway.AnswerKey{1})).Err(); err != nil {
				t.Fatal(err)
			}
			within(t, forgottenWithin, "the answer to be forgotten", func() bool { return bodyOf(t, store, gateway.AnswerKey{1}) == "" })
			if logs.Len() > 2 {
				t.Errorf("%d lines in the log, want 2 at most: %v", logs.Len(), logs.All())
			}
		})
	}
}
