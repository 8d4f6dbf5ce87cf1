package bedrock

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// withoutKeys takes the environment's keys away.
func withoutKeys(t *testing.T) func(p *Provider) {
	return func(*Provider) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	}
}

func TestCredentialsComeFromWhereTheConfigSays(t *testing.T) {
	base := serve(t, runtime(t))
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[work]\naws_access_key_id="+accessKey+"\naws_secret_access_key="+canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(p *Provider){
		"environment": nil,
		"config": func(p *Provider) {
			withoutKeys(t)(p)
			t.Setenv("MY_ID", accessKey)
			t.Setenv("MY_SECRET", canary)
			p.AccessKeyID, p.SecretAccessKey = "{env.MY_ID}", "{env.MY_SECRET}"
		},
		"shared file": func(p *Provider) {
			withoutKeys(t)(p)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
			p.Profile = "work"
		},
		"process": func(p *Provider) {
			withoutKeys(t)(p)
			config := filepath.Join(t.TempDir(), "config")
			program := fmt.Sprintf(`echo '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"}'`, accessKey, canary)
			if err := os.WriteFile(config, []byte("[default]\ncredential_process = "+program+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, base, set)
			for range 2 {
				if _, err := p.Send(t.Context(), ask(false)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestTheContainersCredentialIsFetchedOnceForAllCalls(t *testing.T) {
	var fetched atomic.Int32
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		if r.Header.Get("Authorization") != "container-token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":"session","Expiration":%q}`, accessKey, canary, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(agent.Close)
	session := make(chan string, 8)
	h := runtime(t)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		session <- r.Header.Get("X-Amz-Security-Token")
		h(w, r)
	})
	p := newProvider(t, base, func(p *Provider) {
		withoutKeys(t)(p)
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL)
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token")
	})
	if n := fetched.Load(); n != 0 {
		t.Errorf("setting up has fetched %d times", n)
	}
	for range 4 {
		if _, err := p.Send(t.Context(), ask(false)); err != nil {
			t.Fatal(err)
		}
		if got := <-session; got != "session" {
			t.Errorf("the session is %q", got)
		}
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched is %d times", n)
	}
}

func TestWithoutACredentialAnotherTargetMayBeAsked(t *testing.T) {
	p := newProvider(t, serve(t, runtime(t)), withoutKeys(t))
	e := failing(t, p, ask(false))
	if e.Kind != dialect.UpstreamAuth || !e.Retryable || strings.Contains(e.Message, "EC2") {
		t.Errorf("the error is %v, retryable %t", e, e.Retryable)
	}
	p = newProvider(t, serve(t, runtime(t)), func(*Provider) { t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong"+canary) })
	if e := failing(t, p, ask(false)); e.Kind != dialect.UpstreamAuth || e.Retryable {
		t.Errorf("with a wrong key the error is %v", e)
	}
}

func TestAnAPIKeyNeedsNoSignature(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer bedrock-api-key" || r.Header.Get("X-Amz-Date") != "" {
			refuse(w, 403, "AccessDeniedException", "no")
			return
		}
		io.WriteString(w, answer) //nolint:errcheck // the client may be gone
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key")
	for _, key := range []string{"", "{env.AWS_BEARER_TOKEN_BEDROCK}"} {
		if _, err := newProvider(t, srv.URL, func(p *Provider) { p.APIKey = key }).Send(t.Context(), ask(false)); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for input, fails := range map[string]string{
		"bedrock":                                 "",
		"bedrock x":                               "wrong argument count",
		"bedrock {\n colour red\n}":               "unrecognized subdirective",
		"bedrock {\n region\n}":                   "wrong argument count",
		"bedrock {\n region a\n region b\n}":      "twice",
		"bedrock {\n first_token_timeout soon\n}": "no duration",
	} {
		err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%q: the error is %v, want %q", input, err, fails)
		}
	}
	var p Provider
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`bedrock {
		region us-east-1
		base_url https://a https://b
		profile c
		access_key_id d
		secret_access_key e
		session_token f
		api_key g
		models h i
		default_model i
		connect_timeout 1s
		first_token_timeout 2s
		idle_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Region != "us-east-1" || len(p.BaseURLs) != 2 || p.Profile != "c" || p.AccessKeyID != "d" || p.SecretAccessKey != "e" || p.SessionToken != "f" || p.APIKey != "g" ||
		len(p.Names) != 2 || p.Default != "i" || p.ConnectTimeout != caddy.Duration(time.Second) || p.FirstTokenTimeout != caddy.Duration(2*time.Second) ||
		p.IdleTimeout != caddy.Duration(3*time.Second) {
		t.Errorf("the provider is %+v", &p)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	for fails, p := range map[string]*Provider{
		"region: there is none":        {},
		"is no address":                {Region: region, BaseURLs: []string{"x"}},
		"access_key_id too":            {Region: region, AccessKeyID: "a", SecretAccessKey: "b", Profile: "c"},
		"or a profile too":             {Region: region, APIKey: "a", Profile: "c"},
		"needs both":                   {Region: region, AccessKeyID: "a"},
		"secret_access_key: {env.NO_S": {Region: region, AccessKeyID: "a", SecretAccessKey: "{env.NO_SUCH}"},
		"reading AWS's config":         {Region: region, Profile: "unheard-of"},
		"none of models":               {Region: region, Served: exchange.Served{Names: []string{"a"}, Default: "b"}},
	} {
		err := p.Provision(caddy.Context{})
		if err == nil {
			err = p.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), fails) {
			t.Errorf("the error is %v, want %q", err, fails)
		}
	}
}

func TestTheRegionSaysWhereTheRuntimeIs(t *testing.T) {
	t.Setenv("AWS_REGION", "cn-north-1")
	for region, want := range map[string]string{"us-east-1": "https://bedrock-runtime.us-east-1.amazonaws.com", "": "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"} {
		p := &Provider{Region: region}
		if err := p.Provision(caddy.Context{}); err != nil || p.BaseURLs[0] != want {
			t.Errorf("%q: %q, %v", region, p.BaseURLs, err)
		}
	}
}
