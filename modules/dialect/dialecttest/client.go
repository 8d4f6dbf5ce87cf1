package dialecttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Transport is an upstream of a vendor's own client.
type Transport func(r *http.Request) *http.Response

// RoundTrip answers a request.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := t(r)
	resp.Request = r
	return resp, nil
}

// Answering is for a vendor's own client, and answers every request in the same way.
func Answering(status int, contentType string, text []byte) *http.Client {
	return &http.Client{Transport: Transport(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(text))}
	})}
}

// Translated runs a test for each file of a kind that was translated into a dialect.
func Translated(t *testing.T, into dialect.Name, kind string, test func(t *testing.T, path string, text []byte)) {
	paths, err := filepath.Glob("../../crossing/testdata/*-" + string(into) + "/*." + kind)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", kind, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			test(t, path, text)
		})
	}
}

// TranslatedAnswers runs a test for each stream that was translated and comes to its end, with the same answer translated whole.
func TranslatedAnswers(t *testing.T, into dialect.Name, test func(t *testing.T, stream, whole []byte)) {
	Translated(t, into, "stream.sse", func(t *testing.T, path string, stream []byte) {
		if strings.Contains(path, "error") {
			return
		}
		whole, err := os.ReadFile(strings.Replace(path, ".stream.sse", ".answer.json", 1))
		if err != nil {
			t.Fatal(err)
		}
		test(t, stream, whole)
	})
}

// TranslatedFailures runs a test for each stream that was translated and ends in an error, behind the text "Well, in".
func TranslatedFailures(t *testing.T, into dialect.Name, test func(t *testing.T, path string, stream []byte)) {
	failures := 0
	Translated(t, into, "stream.sse", func(t *testing.T, path string, stream []byte) {
		if strings.Contains(path, "error") {
			failures++
			test(t, path, stream)
		}
	})
	if failures == 0 {
		t.Error("no stream ends in an error")
	}
}

// Respelled gives a request and what a vendor's own client would send in its place, once it has read the request into its params. What
// the client would send is what it understands of it.
func Respelled(t *testing.T, body []byte, params any) (got, want map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, params); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(params)
	if err := errors.Join(err, json.Unmarshal(again, &got), json.Unmarshal(body, &want)); err != nil {
		t.Fatal(err)
	}
	return got, want
}
