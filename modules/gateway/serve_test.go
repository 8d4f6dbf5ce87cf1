package gateway

import (
	"net/http/httptest"
	"testing"
)

// Caddy's header handler changes values where they stand.
func TestHeadersOfAnAnswerAreItsOwn(t *testing.T) {
	for range 2 {
		w := httptest.NewRecorder()
		if err := new(Call).ServeBody(w, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		h := w.Header()
		if h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != "2" {
			t.Fatalf("headers are %v", h)
		}
		h["Content-Type"][0] = "text/plain"
		h.Add("Content-Type", "x")
		if h.Get("Content-Length") != "2" {
			t.Fatalf("a value added to one header is another's: %v", h)
		}
	}
}
