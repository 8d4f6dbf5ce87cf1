package bedrock

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/tidwall/gjson"
)

const (
	accessKey = "AKIDCANARY"
	canary    = "aws-canary-secret"
	region    = "eu-central-1"
	model     = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"

	answer = `{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"pong"}],"stop_reason":"end_turn","stop_sequence":null,` +
		`"usage":{"input_tokens":7,"cache_read_input_tokens":20,"cache_creation_input_tokens":10,"output_tokens":2}}`
)

// events is an answer of the model's as the API itself would send it.
var events = []string{
	`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,` +
		`"usage":{"input_tokens":7,"cache_read_input_tokens":20,"cache_creation_input_tokens":10,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pong"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
	`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":2}}`,
}

// sent are events as server-sent ones.
func sent(events ...string) string {
	var b strings.Builder
	for _, event := range events {
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", gjson.Get(event, "type").Str, event)
	}
	return b.String()
}

// frame is a message as AWS's own encoder writes it. Headers come in pairs.
func frame(t testing.TB, payload string, headers ...string) []byte {
	t.Helper()
	message := eventstream.Message{Payload: []byte(payload)}
	for i := 0; i < len(headers); i += 2 {
		message.Headers.Set(headers[i], eventstream.StringValue(headers[i+1]))
	}
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, message); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chunk is an event in a frame, with padding of a length that hides the event's.
func chunk(t testing.TB, event string) []byte {
	return frame(t, `{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(event))+`","p":"abcdefghij"}`,
		":event-type", "chunk", ":content-type", "application/json", ":message-type", "event")
}

func chunks(t testing.TB, events ...string) []byte {
	var all []byte
	for _, event := range events {
		all = append(all, chunk(t, event)...)
	}
	return all
}

// exception is a failure inside of an answer.
func exception(t testing.TB, name, message string) []byte {
	return frame(t, `{"message":"`+message+`"}`, ":exception-type", name, ":content-type", "application/json", ":message-type", "exception")
}

// serve runs a runtime of Bedrock that checks signatures and answers with h.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has left
		}
		if err := verify(r, body, time.Now()); err != nil {
			refuse(w, http.StatusForbidden, "InvalidSignatureException", err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func refuse(w http.ResponseWriter, status int, exception, message string) {
	w.Header().Set("X-Amzn-Errortype", exception+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, message)
}

// runtime answers as Bedrock does.
func runtime(t testing.TB) http.HandlerFunc {
	stream := chunks(t, events...)
	return func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		parts := strings.Split(r.URL.EscapedPath(), "/")
		if len(parts) != 4 || parts[1] != "model" {
			refuse(w, 404, "UnknownOperationException", r.URL.Path)
			return
		}
		id, err := url.PathUnescape(parts[2])
		if parts[3] == "count-tokens" {
			if raw, err = base64.StdEncoding.DecodeString(gjson.GetBytes(raw, "input.invokeModel.body").Str); err != nil {
				refuse(w, 400, "ValidationException", "The body is no base64")
				return
			}
		}
		body := gjson.ParseBytes(raw)
		switch {
		case err != nil || id != model:
			refuse(w, 400, "ValidationException", "The provided model identifier is invalid.")
		case body.Get("anthropic_version").Str != "bedrock-2023-05-31":
			refuse(w, 400, "ValidationException", "anthropic_version: Field required")
		case body.Get("model").Exists() || body.Get("stream").Exists():
			refuse(w, 400, "ValidationException", "Malformed input request: extraneous key is not permitted")
		case !body.Get("max_tokens").Exists():
			refuse(w, 400, "ValidationException", "max_tokens: Field required")
		case r.Header.Get("Anthropic-Beta") != "":
			refuse(w, 400, "ValidationException", "a header of another API")
		case parts[3] == "count-tokens":
			io.WriteString(w, `{"inputTokens":37}`) //nolint:errcheck // the client may be gone
		case parts[3] == "invoke":
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, answer) //nolint:errcheck // the client may be gone
		default:
			w.Header().Set("Content-Type", framed)
			w.Write(stream) //nolint:errcheck // the client may be gone
		}
	}
}

// verify checks a signature of version 4 as AWS does, written anew after its documentation.
func verify(r *http.Request, body []byte, now time.Time) error {
	fields := make(map[string]string)
	algorithm, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || now.Sub(at).Abs() > 5*time.Minute {
		return fmt.Errorf("the date %q is not now", date)
	}
	scope := date[:8] + "/" + region + "/bedrock/aws4_request"
	if algorithm != "AWS4-HMAC-SHA256" || fields["Credential"] != accessKey+"/"+scope {
		return fmt.Errorf("%s with the credential %s is not for %s", algorithm, fields["Credential"], scope)
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	if !slices.IsSorted(names) || !slices.Contains(names, "host") || !slices.Contains(names, "x-amz-date") {
		return fmt.Errorf("signed are %q", names)
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(names, lower) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	var headers strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	canonical := strings.Join([]string{r.Method, encodedAgain(path), r.URL.RawQuery, headers.String(), fields["SignedHeaders"], digest(body)}, "\n")
	key := []byte("AWS4" + canary)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	want := hex.EncodeToString(mac(key, strings.Join([]string{algorithm, date, scope, digest([]byte(canonical))}, "\n")))
	if fields["Signature"] != want {
		return fmt.Errorf("the signature does not match the request")
	}
	return nil
}

// encodedAgain is how a path that is escaped already stands in a signature.
func encodedAgain(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
