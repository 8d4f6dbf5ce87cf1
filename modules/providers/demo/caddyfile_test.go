package demo

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfileGivesTheJSON(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{`demo`, `{}`},
		{`demo {
		}`, `{}`},
		{`demo {
			delay 300ms
			pace 20ms
			words 1_000
			fail 503 3
			fail disconnect
			fail 503
		}`, `{"delay":300000000,"pace":20000000,"words":1000,"failures":[{"kind":"503","every":3},{"kind":"disconnect"},{"kind":"503"}]}`},
		{`demo {
			delay 1d
			fail malformed 10
			fail stall 0x10
		}`, `{"delay":86400000000000,"failures":[{"kind":"malformed","every":10},{"kind":"stall","every":16}]}`},
	} {
		var p Provider
		if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.input)); err != nil {
			t.Errorf("parsing %s: %v", tt.input, err)
			continue
		}
		if got, _ := json.Marshal(&p); string(got) != tt.want {
			t.Errorf("%s\ngives %s, want %s", tt.input, got, tt.want)
		}
	}
}

func TestCaddyfileRefusesMistakes(t *testing.T) {
	for _, tt := range []struct{ block, complaint string }{
		{"delay 1s\ndelay 2s", "delay already specified"},
		{"pace 1s\npace 1s", "pace already specified"},
		{"words 3\nwords 3", "words already specified"},
		{"speed 3", `unrecognized subdirective "speed"`},
		{"delay", "wrong argument count"},
		{"delay soon", "parsing duration"},
		{"delay -1s", "must not be negative"},
		{"delay 1s 2s", "wrong argument count"},
		{"words none", "at least 1"},
		{"words 0", "at least 1"},
		{"fail", "wrong argument count"},
		{"fail 200", "unknown kind of failure"},
		{"fail 600", "unknown kind of failure"},
		{"fail stall 0", "at least 1"},
		{"fail stall 1 2", "wrong argument count"},
	} {
		err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser("demo {\n" + tt.block + "\n}"))
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tt.complaint)) {
			t.Errorf("%q: the error is %v, want %q", tt.block, err, tt.complaint)
		}
	}
	if err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser("demo fast")); err == nil {
		t.Error("an argument on the provider's own line is taken")
	}
}
