package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(t *testing.T, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	new(handler).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
	return answer
}

func TestWholeAnswersAreJSONOfAboutAKilobyte(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/chat/completions":  `{"model":"bench-model"}`,
		"/v1/chat/completions#": `{"model":"bench-model","response_format":{"type":"json_schema"}}`,
		"/v1/messages":          `{"model":"claude-bench"}`,
	} {
		answer := ask(t, strings.TrimSuffix(path, "#"), body)
		if answer.Code != 200 || !json.Valid(answer.Body.Bytes()) || answer.Body.Len() < 900 || answer.Body.Len() > 1100 {
			t.Errorf("%s: %d, %d bytes: %s", path, answer.Code, answer.Body.Len(), answer.Body)
		}
	}
}

func TestAnalysisIsAnAnalysis(t *testing.T) {
	var completion struct {
		Choices []struct{ Message struct{ Content string } }
	}
	answer := ask(t, "/v1/chat/completions", `{"response_format":{}}`)
	if err := json.Unmarshal(answer.Body.Bytes(), &completion); err != nil {
		t.Fatal(err)
	}
	var analysis struct {
		Intent, Subject string
		Entities        map[string]any
		Confidence      float64 `json:"confidence_score"`
	}
	if err := json.Unmarshal([]byte(completion.Choices[0].Message.Content), &analysis); err != nil || analysis.Intent == "" || analysis.Confidence == 0 {
		t.Errorf("%v: %+v", err, analysis)
	}
}

func TestStreamsHaveTwentyPartsOfAText(t *testing.T) {
	for path, event := range map[string]string{"/v1/chat/completions": `"content":"`, "/v1/messages": `"text_delta"`} {
		answer := ask(t, path, `{"stream":true}`)
		if n := strings.Count(answer.Body.String(), event); n != Events {
			t.Errorf("%s: %d parts: %s", path, n, answer.Body)
		}
		for line := range bytes.Lines(answer.Body.Bytes()) {
			data, ok := bytes.CutPrefix(line, []byte("data: "))
			if ok && !json.Valid(data) && string(data) != "[DONE]\n" {
				t.Errorf("%s: %s", path, data)
			}
		}
	}
}

// leaving is a reader that leaves after some events.
type leaving struct {
	*httptest.ResponseRecorder
	after int
	leave context.CancelFunc
}

func (l *leaving) Write(p []byte) (int, error) {
	if l.after--; l.after == 0 {
		l.leave()
	}
	return l.ResponseRecorder.Write(p)
}

func TestStreamEndsWithItsReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &leaving{httptest.NewRecorder(), 2, cancel}
	new(handler).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"stream":true,"model":"`+PacedModel+`"}`)))
	if n := strings.Count(w.Body.String(), "data:"); n != 2 {
		t.Errorf("%d events were written for a reader that left after 2", n)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, "127.0.0.1:0", 0); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
