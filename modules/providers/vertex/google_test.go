package vertex

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const (
	canary   = "google-canary-token"
	account  = "gateway@my-project.iam.gserviceaccount.com"
	location = "europe-west4"

	answer = `{"candidates":[{"content":{"role":"model","parts":[{"text":"pong"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9},"modelVersion":"gemini-2.5-flash"}`
	events = `data: {"candidates":[{"content":{"role":"model","parts":[{"text":"po"}]}}],"modelVersion":"gemini-2.5-flash"}` + "\n\n" +
		`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"ng"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9}}` + "\n\n"

	message = `{"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"pong"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":2}}`
	begun   = "event: message_start\n" + `data: {"type":"message_start","message":{"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}` + "\n\n"
	remains = "event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n" +
		"event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pong"}}` + "\n\n" +
		"event: content_block_stop\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n" +
		"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}` + "\n\n" +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
)

// google gives tokens to a service account, and models to those who have one.
type google struct {
	file   string // with the account's key
	issuer string // the address of who gives tokens
	models string // the service's address

	tokens atomic.Int32 // how many were given
	asked  chan asked   // what the models are asked, where not nil
}

// asked is a request for a model.
type asked struct{ path, query, body string }

// accountKey is the account's; making one takes a while.
var accountKey = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// newGoogle sets up an account, and both services.
func newGoogle(t testing.TB) *google {
	t.Helper()
	g := &google{file: filepath.Join(t.TempDir(), "account.json")}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := verify(r, &accountKey().PublicKey, g.issuer); err != nil {
			says(400, "application/json", fmt.Sprintf(`{"error":"invalid_grant","error_description":%q}`, err))(w, r)
			return
		}
		says(200, "application/json", fmt.Sprintf(`{"access_token":"%s-%d","token_type":"Bearer","expires_in":3599}`, canary, g.tokens.Add(1)))(w, r)
	}))
	t.Cleanup(tokens.Close)
	g.issuer = tokens.URL
	g.writeFile(t, accountKey())
	g.models = g.serve(t, g.answer)
	return g
}

// writeFile writes the account's file with a key in it.
func (g *google) writeFile(t testing.TB, key *rsa.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "my-project", "private_key_id": "k1", "client_email": account, "token_uri": g.issuer,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err == nil {
		err = os.WriteFile(g.file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// verify checks the assertion with which a service account asks for a token (RFC 7523).
func verify(r *http.Request, key *rsa.PublicKey, audience string) error {
	if err := r.ParseForm(); err != nil || r.Form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return fmt.Errorf("the grant is %q", r.Form.Get("grant_type"))
	}
	parts := strings.Split(r.Form.Get("assertion"), ".")
	if len(parts) != 3 {
		return fmt.Errorf("the assertion has %d parts", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return err
		}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], decoded[2]); err != nil {
		return err
	}
	header, claims := gjson.ParseBytes(decoded[0]), gjson.ParseBytes(decoded[1])
	issued, ends := time.Unix(claims.Get("iat").Int(), 0), time.Unix(claims.Get("exp").Int(), 0)
	switch {
	case header.Get("alg").Str != "RS256" || header.Get("kid").Str != "k1":
		return fmt.Errorf("the header is %s", header.Raw)
	case claims.Get("iss").Str != account || claims.Get("aud").Str != audience || claims.Get("scope").Str != "https://www.googleapis.com/auth/cloud-platform":
		return fmt.Errorf("the claims are %s", claims.Raw)
	case time.Since(issued).Abs() > time.Minute || ends.Sub(issued) > time.Hour:
		return fmt.Errorf("it is good from %s to %s", issued, ends)
	}
	return nil
}

// serve runs a service that asks for a token before it answers with h.
func (g *google) serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has left
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "+canary+"-") {
			refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")(w, r)
			return
		}
		if g.asked != nil {
			g.asked <- asked{r.URL.EscapedPath(), r.URL.RawQuery, string(body)}
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// refuse is how Google's services refuse.
func refuse(status int, word, message string) http.HandlerFunc {
	return says(status, "application/json", fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q}}`, status, message, word))
}

// answer answers as Vertex AI does, for the models gemini and claude.
func (g *google) answer(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	body := gjson.ParseBytes(raw)
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/projects/my-project/locations/"+location+"/publishers/")
	publisher, rest, _ := strings.Cut(path, "/models/")
	model, method, _ := strings.Cut(rest, ":")
	switch {
	case !ok:
		says(404, "text/html", "<html>")(w, r)
	case publisher == "google" && model == "gemini" && method == "generateContent":
		says(200, "application/json; charset=UTF-8", answer)(w, r)
	case publisher == "google" && model == "gemini" && method == "streamGenerateContent" && r.URL.RawQuery == "alt=sse":
		says(200, "text/event-stream", events)(w, r)
	case publisher == "google" && model == "gemini" && method == "countTokens":
		says(200, "application/json", `{"totalTokens":37,"totalBillableCharacters":90}`)(w, r)
	case publisher == "anthropic" && body.Get("anthropic_version").Str != "vertex-2023-10-16":
		says(400, "application/json", `{"type":"error","error":{"type":"invalid_request_error","message":"anthropic_version: Field required"}}`)(w, r)
	case publisher == "anthropic" && model == "count-tokens" && method == "rawPredict" && body.Get("model").Str == "claude":
		says(200, "application/json", `{"input_tokens":37}`)(w, r)
	case publisher == "anthropic" && model == "claude" && body.Get("model").Exists():
		says(400, "application/json", `{"type":"error","error":{"type":"invalid_request_error","message":"model: Extra inputs are not permitted"}}`)(w, r)
	case publisher == "anthropic" && model == "claude" && method == "rawPredict" && !body.Get("stream").Bool():
		says(200, "application/json", message)(w, r)
	case publisher == "anthropic" && model == "claude" && method == "streamRawPredict" && body.Get("stream").Bool():
		says(200, "text/event-stream", begun+remains)(w, r)
	default:
		refuse(404, "NOT_FOUND", "Publisher Model `"+path+"` was not found or your project does not have access to it.")(w, r)
	}
}

// says answers every call in the same way.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the client may be gone
	}
}
