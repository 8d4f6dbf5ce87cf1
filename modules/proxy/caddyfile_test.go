package proxy

import (
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestOptionsOfTheCaddyfile(t *testing.T) {
	for text, want := range map[string]*Proxy{
		"llm_proxy":                                   {},
		"llm_proxy {\n on_unsupported drop\n}":        {OnUnsupported: Drop},
		"llm_proxy {\n on_unsupported refuse\n}":      {OnUnsupported: Refuse},
		"llm_proxy {\n keepalive_interval off\n}":     {KeepAliveInterval: -1},
		"llm_proxy {\n keepalive_interval 500ms\n}":   {KeepAliveInterval: caddy.Duration(500 * time.Millisecond)},
		"llm_proxy {\n lb_retries 2\n timeout 10m\n}": {Retries: 2, Timeout: caddy.Duration(10 * time.Minute)},
		"llm_proxy {\n lb_try_duration 5s\n connect_timeout 1s\n first_token_timeout 20s\n idle_timeout 30s\n}": {
			TryDuration: caddy.Duration(5 * time.Second), ConnectTimeout: caddy.Duration(time.Second),
			FirstTokenTimeout: caddy.Duration(20 * time.Second), IdleTimeout: caddy.Duration(30 * time.Second),
		},
	} {
		p := new(Proxy)
		if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("%q is %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{
		"llm_proxy x", "llm_proxy {\n x\n}", "llm_proxy {\n on_unsupported\n}", "llm_proxy {\n on_unsupported ignore\n}",
		"llm_proxy {\n on_unsupported drop\n on_unsupported drop\n}", "llm_proxy {\n keepalive_interval\n}", "llm_proxy {\n keepalive_interval on\n}",
		"llm_proxy {\n keepalive_interval off\n keepalive_interval off\n}", "llm_proxy {\n keepalive_interval 1s 2s\n}",
		"llm_proxy {\n lb_retries 0\n}", "llm_proxy {\n lb_retries 1\n lb_retries 1\n}", "llm_proxy {\n lb_try_duration 0s\n}", "llm_proxy {\n timeout soon\n}",
	} {
		if err := new(Proxy).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestMistakesInTheJSONAreRefused(t *testing.T) {
	for _, p := range []*Proxy{
		{OnUnsupported: "ignore"}, {OnUnsupported: Drop, Retries: -1}, {OnUnsupported: Drop, Timeout: -1}, {OnUnsupported: Drop, TryDuration: -1},
		{OnUnsupported: Drop, ConnectTimeout: -1}, {OnUnsupported: Drop, FirstTokenTimeout: -1}, {OnUnsupported: Drop, IdleTimeout: -1},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
