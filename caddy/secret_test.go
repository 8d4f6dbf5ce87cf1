package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cases 83 and 20 of the faults: no secret leaves by any door, at debug level either.
func TestSecretsAppearNowhere(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.Contains(body, "echo"): // a provider that tells what it was sent
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"Incorrect API key provided: `+r.Header.Get("Authorization")+`"}}`) //nolint:errcheck
		case strings.Contains(body, "page"):
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, "<html>"+r.Header.Get("Authorization")+"</html>") //nolint:errcheck
		case strings.Contains(body, `"stream":true`):
			answerStream(w, "x")
		default:
			w.Header().Set("Set-Cookie", "provider=secret")
			w.Header().Set("Openai-Organization", "org-secret")
			answerWhole(w, answerText("x"))
		}
	})
	config := strings.Replace(standard(t), "admin unix", "debug\n\tadmin unix", 1)
	config = strings.Replace(config, "llm_gateway {", "llm_gateway {\n"+up.provider(), 1)
	p := start(t, config, upKey)
	canary := p.newKey(map[string]any{"name": "canary"})
	secrets := map[string]string{"the gateway key": canary, "the provider's key": strings.TrimPrefix(upKey, "UP_KEY="), "the admin credential": p.Admin}

	var seen, upstreamSaw bytes.Buffer
	note := func(r response) {
		seen.WriteString(r.Body)
		r.Header.Write(&seen) //nolint:errcheck // a buffer takes all
	}
	wrong := "sp_" + strings.Repeat("c0ffee00", 8)
	for _, headers := range [][]string{{"X-API-Key", canary}, {"Authorization", "Bearer " + canary}, {"Api-Key", canary}, {"X-API-Key", canary, "Authorization", "Bearer " + wrong}} {
		for _, body := range []string{chatBody("m", ""), chatBody("m", `,"stream":true`), chatBody("m", `,"temperature":0`), chatBody("m", `,"echo":1`), chatBody("m", `,"page":1`), "{", chatBody(canary, "")} {
			note(p.do("POST", chatPath, "", body, headers...))
		}
		note(p.do("POST", "/v1/analyze/", "", `{"prompt":"a","metadata":{"token":"`+canary+`"}}`, headers...))
		note(p.do("GET", "/v1/models", "", "", headers...))
		note(p.do("GET", "/v1/api-keys/", "", "", headers...))
	}
	if id := p.do("GET", "/v1/models", canary, "", "X-Request-Id", "sp_"+strings.Repeat("0", 64)).Header.Get("X-Request-Id"); strings.HasPrefix(id, "sp_") {
		t.Errorf("a credential sent as request id was echoed: %s", id)
	}
	for _, method := range []string{"generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse", "countTokens", "nope"} {
		path := "/v1beta/models/up/m:" + method
		note(p.do("POST", path, "", contentBody, "X-Goog-Api-Key", canary))
		separator := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
		note(p.do("POST", path+separator+"key="+canary, "", contentBody))
		note(p.do("POST", path+separator+"key="+canary+"&key="+wrong, "", contentBody))
	}
	note(p.do("GET", "/v1beta/models?key="+canary, "", ""))
	note(p.do("GET", "/v1/models?%6bey="+canary, "", ""))
	for _, r := range up.requests() {
		fmt.Fprintf(&upstreamSaw, "%s %v %s\n", r.Path, r.Header, r.Body)
	}
	note(p.do("GET", "/v1/api-keys/", p.Admin, ""))
	note(p.do("GET", "/v1/health", "", ""))
	note(p.do("GET", "/v1/metrics", "", ""))
	note(response{Body: adminAPI(t, p, "/config/")})
	if strings.Contains(seen.String(), "org-secret") || strings.Contains(seen.String(), "provider=secret") {
		t.Error("a header of the provider's account reached a client")
	}
	if strings.Contains(upstreamSaw.String(), canary) {
		t.Errorf("the gateway key reached the provider: …%s…", around(upstreamSaw.String(), canary))
	}
	places := map[string]string{"an answer": seen.String(), "the log": afterFirstStart(p)}
	for _, name := range []string{"gateway.db", "gateway.db-wal", "gateway.db-shm"} {
		text, err := os.ReadFile(filepath.Join(p.Dir, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		places[name] = string(text)
	}
	for what, secret := range secrets {
		hash := sha256.Sum256([]byte(secret))
		for place, text := range places {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s: …%s…", what, place, around(text, secret))
			}
			if place != "gateway.db" && place != "gateway.db-wal" && strings.Contains(text, hex.EncodeToString(hash[:])) {
				t.Errorf("the hash of %s is in %s", what, place)
			}
		}
	}
}

// afterFirstStart is the log without the lines that show credentials on purpose, once.
func afterFirstStart(p *process) string {
	text := p.out.String()
	for _, secret := range []string{p.Key, p.Admin} {
		text = strings.Replace(text, secret, "", 1)
	}
	return strings.Replace(text, p.Key, "", 1) // in the curl line
}

func around(text, part string) string {
	i := strings.Index(text, part)
	return text[max(0, i-120):min(len(text), i+len(part)+40)]
}

// adminAPI asks Caddy's own admin endpoint, which listens on a socket in the data directory.
func adminAPI(t *testing.T, p *process, path string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(p.Dir, "data", "admin.sock"))
	}}}
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	if !strings.Contains(string(text), "{env.UP_KEY}") {
		t.Errorf("the config does not show the placeholder: %s", text)
	}
	return string(text)
}

const contentBody = `{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}`

// Case 85: a gateway key opens nothing of the admin's, and a hash is no credential.
func TestAGatewayKeyIsNoAdminCredential(t *testing.T) {
	p := start(t, standard(t))
	hash := sha256.Sum256([]byte(p.Admin))
	for _, credential := range []string{"", p.Key, hex.EncodeToString(hash[:]), "sa_" + hex.EncodeToString(hash[:])} {
		for _, c := range [][2]string{{"GET", "/v1/api-keys/"}, {"POST", "/v1/api-keys/"}, {"DELETE", "/v1/api-keys/key_x"}, {"POST", "/v1/api-keys/key_x/rotate"}} {
			if got := p.do(c[0], c[1], credential, ""); got.Status != 401 {
				t.Errorf("%s %s got %d", c[0], c[1], got.Status)
			}
		}
	}
	for _, path := range []string{"/config/", "/llm/keys/", "/load", "/stop"} {
		if got := p.do("GET", path, p.Key, ""); got.Status != 404 {
			t.Errorf("%s on the public side got %d", path, got.Status)
		}
	}
	if got := p.do("GET", "/v1/models", p.Admin, ""); got.Status != 401 {
		t.Errorf("the admin credential called a model: %d", got.Status)
	}
}
