package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// studio stands in for an account at OpenAI that has images, audio, moderations and files. It reads forms with net/http, and
// answers in OpenAI's wire format with what it was sent.
type studio struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	asked []asked
	files map[string]string // by id
	next  int
	// speak, where set, answers calls for speech.
	speak http.HandlerFunc
}

// asked is what a call to the studio was.
type asked struct {
	path, model, file, key string
	rest                   map[string]any
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	s := &studio{t: t, files: make(map[string]string)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// provider is a Caddyfile's provider block that leads here.
func (s *studio) provider(options string) string {
	return "\t\tprovider studio openai {\n\t\t\tbase_url " + s.URL + "/v1\n\t\t\tapi_key {env.UP_KEY}\n\t\t\t" + options + "\n\t\t}"
}

// last is the call that came last.
func (s *studio) last() asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1]
}

// read takes a call in, as net/http reads it.
func (s *studio) read(r *http.Request) asked {
	a := asked{path: r.URL.Path, key: r.Header.Get("Authorization"), rest: make(map[string]any)}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := r.ParseMultipartForm(32 << 20); err != nil {
			s.t.Errorf("%s: the form cannot be read: %v", r.URL.Path, err)
			return a
		}
		for name, values := range r.MultipartForm.Value {
			a.rest[name] = values[0]
		}
		for _, files := range r.MultipartForm.File {
			f, err := files[0].Open()
			if err != nil {
				s.t.Error(err)
				return a
			}
			content, _ := io.ReadAll(f)
			a.file = string(content)
			f.Close()
		}
	} else if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&a.rest); err != nil {
			s.t.Errorf("%s: the body cannot be read: %v", r.URL.Path, err)
		}
	}
	a.model, _ = a.rest["model"].(string)
	s.mu.Lock()
	s.asked = append(s.asked, a)
	s.mu.Unlock()
	return a
}

// streamed says whether a call asks for events.
func (a asked) streamed() bool { return a.rest["stream"] == true || a.rest["stream"] == "true" }

func (s *studio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.read(r)
	w.Header().Set("X-Ratelimit-Limit-Requests", "5") // the account's own, which is no client's affair
	w.Header().Set("Openai-Organization", "org-of-the-operator")
	image := `{"created":1,"data":[{"b64_json":"aW1hZ2U="}],"usage":{"input_tokens":11,"output_tokens":100,"total_tokens":111}}`
	switch path := strings.TrimPrefix(r.URL.Path, "/v1"); {
	case path == "/completions" && a.streamed():
		send := begin(w)
		send(`data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":"po","index":0,"finish_reason":null}],"usage":null}` + "\n\n")
		send(`data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":"ng","index":0,"finish_reason":"stop"}],"usage":null}` + "\n\n")
		send(`data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\n")
		send(chunkDone)
	case path == "/completions":
		answerWhole(w, `{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":"pong","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	case path == "/images/generations" && a.streamed():
		send := begin(w)
		send("event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aQ==\",\"partial_image_index\":0}\n\n")
		send("event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"aW1hZ2U=\",\"usage\":{\"input_tokens\":11,\"output_tokens\":100,\"total_tokens\":111}}\n\n")
	case strings.HasPrefix(path, "/images/"):
		answerWhole(w, image)
	case path == "/audio/speech" && s.speak != nil:
		s.speak(w, r)
	case path == "/audio/speech":
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "\xff\xfb\x00sound of "+a.rest["input"].(string)) //nolint:errcheck
	case path == "/audio/transcriptions" && a.streamed():
		send := begin(w)
		send("data: {\"type\":\"transcript.text.delta\",\"delta\":\"he\"}\n\n")
		send("data: {\"type\":\"transcript.text.done\",\"text\":\"heard\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":2,\"total_tokens\":16}}\n\n")
	case path == "/audio/transcriptions" && a.rest["response_format"] == "vtt":
		w.Header().Set("Content-Type", "text/vtt; charset=utf-8")
		io.WriteString(w, "WEBVTT\n\n00:00.000 --> 00:01.000\nheard\n") //nolint:errcheck
	case path == "/audio/transcriptions", path == "/audio/translations":
		answerWhole(w, `{"text":"heard","usage":{"type":"tokens","input_tokens":14,"output_tokens":2,"total_tokens":16}}`)
	case path == "/moderations":
		answerWhole(w, `{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false,"categories":{},"category_scores":{}}]}`)
	case strings.HasPrefix(path, "/files"):
		s.serveFiles(w, r, strings.TrimPrefix(path, "/files"), a)
	default:
		s.t.Errorf("the studio was asked for %s", r.URL.Path)
		http.NotFound(w, r)
	}
}

func (s *studio) serveFiles(w http.ResponseWriter, r *http.Request, rest string, a asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"object":"file","bytes":%d,"created_at":1,"filename":"a.jsonl","purpose":"assistants","status":"processed"}`, id, len(s.files[id]))
	}
	id, part, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	_, found := s.files[id]
	switch {
	case r.Method == http.MethodPost && rest == "":
		s.next++
		id := fmt.Sprintf("file-%d", s.next)
		s.files[id] = a.file
		answerWhole(w, object(id))
	case !found:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"error":{"message":"No such File object: %s","type":"invalid_request_error","param":"id","code":null}}`, id)
	case r.Method == http.MethodDelete:
		delete(s.files, id)
		answerWhole(w, fmt.Sprintf(`{"id":%q,"object":"file","deleted":true}`, id))
	case part == "content":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", `attachment; filename="a.jsonl"`)
		io.WriteString(w, s.files[id]) //nolint:errcheck
	default:
		answerWhole(w, object(id))
	}
}
