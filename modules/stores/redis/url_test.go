package redis

import (
	"slices"
	"strings"
	"testing"
)

func TestURLsSayWhereRedisIs(t *testing.T) {
	for _, test := range []struct {
		url            string
		addrs          []string
		user, password string
		db             int
		master         string
		cluster, tls   bool
	}{
		{url: "redis://localhost", addrs: []string{"localhost:6379"}},
		{url: "redis://localhost:7000/3", addrs: []string{"localhost:7000"}, db: 3},
		{url: "redis://10.0.0.1:7000?db=2", addrs: []string{"10.0.0.1:7000"}, db: 2},
		{url: "redis://[::1]:7000", addrs: []string{"[::1]:7000"}},
		{url: "redis://[::1]", addrs: []string{"[::1]:6379"}},
		{url: "redis://:secret@h:1", addrs: []string{"h:1"}, password: "secret"},
		{url: "rediss://gateway:p%40ss%2Fword@h:1/0", addrs: []string{"h:1"}, user: "gateway", password: "p@ss/word", tls: true},
		{url: "unix:///run/redis.sock?db=1", addrs: []string{"/run/redis.sock"}, db: 1},
		{url: "unix://u:p@/run/redis.sock", addrs: []string{"/run/redis.sock"}, user: "u", password: "p"},
		{url: "redis+sentinel://u:p@h1:1,h2:2,h3/main?db=4", addrs: []string{"h1:1", "h2:2", "h3:26379"}, user: "u", password: "p", db: 4, master: "main"},
		{url: "rediss+sentinel://h1/main", addrs: []string{"h1:26379"}, master: "main", tls: true},
		{url: "redis+cluster://h1:1,h2:2,h3", addrs: []string{"h1:1", "h2:2", "h3:6379"}, cluster: true},
		{url: "rediss+cluster://u:p@h1", addrs: []string{"h1:6379"}, user: "u", password: "p", cluster: true, tls: true},
	} {
		t.Run(test.url, func(t *testing.T) {
			o, err := parseURL(test.url)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o.Addrs, test.addrs) || o.Username != test.user || o.Password != test.password || o.DB != test.db ||
				o.MasterName != test.master || o.IsClusterMode != test.cluster || (o.TLSConfig != nil) != test.tls {
				t.Errorf("read %+v", o)
			}
		})
	}
}

func TestURLsThatSayNothingAreRefusedWithoutTellingTheirPassword(t *testing.T) {
	for _, url := range []string{
		"", "localhost:6379", "://u:hunter2@h", "http://u:hunter2@h", "redis://u:hunter2@", "redis://u:hunter2@h:port", "redis://u:hunter2@h1,h2",
		"redis://u:hunter2@h/name", "redis://u:hunter2@h/-1", "redis://u:hunter2@h?timeout=3s", "redis://u:hunter2%zz@h", "unix://u:hunter2@host/s",
		"unix://u:hunter2@", "redis+sentinel://u:hunter2@h", "redis+cluster://u:hunter2@h/?db=3", "redis+cluster://u:hunter2@h/3", "redis+http://u:hunter2@h", "redis://u:hunter2@h1:1,,h2:2/",
	} {
		_, err := parseURL(url)
		if err == nil {
			t.Errorf("no error for %q", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestSentinelsHaveTheirOwnCredential(t *testing.T) {
	o, err := parseURL("redis+sentinel://u:p@h/main?sentinel_user=su&sentinel_password=sp")
	if err != nil || o.SentinelUsername != "su" || o.SentinelPassword != "sp" || o.Username != "u" || o.Password != "p" {
		t.Errorf("read %+v, error %v", o, err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, url := range []string{"redis://u:p@h:1/2", "unix:///s?db=1", "rediss+sentinel://h1,h2/m", "redis+cluster://[::1]:1,h2:3"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		o, err := parseURL(url)
		if err == nil && (len(o.Addrs) == 0 || slices.Contains(o.Addrs, "")) {
			t.Errorf("%q is nowhere: %+v", url, o)
		}
	})
}
