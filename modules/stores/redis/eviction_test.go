package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

func TestARedisThatDropsKeysIsWarnedOfOnce(t *testing.T) {
	for name, test := range map[string]struct {
		memory, policy string
		user           string
		lines          int
	}{
		"no bound":                        {"0", "allkeys-lru", "+@all", 0},
		"refuses to write":                {"100mb", "noeviction", "+@all", 0},
		"drops any key":                   {"100mb", "allkeys-lru", "+@all", 1},
		"drops keys that expire":          {"100mb", "volatile-ttl", "+@all", 1},
		"does not tell this user of that": {"100mb", "allkeys-lru", "+@all -info", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t, "--maxmemory", test.memory, "--maxmemory-policy", test.policy)
			rights := []any{"ACL", "SETUSER", "gw", "on", ">secret", "~*", "&*"}
			for word := range strings.FieldsSeq(test.user) {
				rights = append(rights, word)
			}
			if err := s.Do(t.Context(), rights...).Err(); err != nil {
				t.Fatal(err)
			}
			log, logs := observed()
			l := member(t, newClient(t, "redis://gw:secret@"+s.Address, 2*time.Second, log), hasty)
			admit(t, l, -1, requests("key:a", 100, time.Hour))
			within(t, 20*time.Second, "some signs of life", func() bool { return s.Calls("zcard") > 4 })
			if n := logs.FilterMessageSnippet("noeviction").Len(); n != test.lines || logs.Len() != test.lines {
				t.Errorf("%d lines, want %d: %v", logs.Len(), test.lines, logs.All())
			}
		})
	}
}

func TestOfAClusterOneMasterThatDropsKeysIsEnough(t *testing.T) {
	masters, url := redistest.StartCluster(t)
	for name, value := range map[string]string{"maxmemory": "100mb", "maxmemory-policy": "volatile-lru"} {
		if err := masters[2].ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	log, logs := observed()
	l := member(t, newClient(t, url, 5*time.Second, log), hasty)
	admit(t, l, -1, requests("key:a", 100, time.Hour))
	within(t, 20*time.Second, "the warning", func() bool { return logs.FilterMessageSnippet("noeviction").Len() == 1 })
}
