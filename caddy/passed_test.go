package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// studioSite is a gateway before a studio, whose models have other names there.
func studioSite(s *studio) string {
	models := ""
	for _, name := range []string{"text", "painter", "voice", "ear"} {
		models += fmt.Sprintf("\n\t\tmodel %s {\n\t\t\ttarget studio/upstream-%s\n\t\t}", name, name)
	}
	return site(s.provider("surfaces chat completions images audio moderations files")+models, "llm")
}

func sdkClient(p *process, key string) sdk.Client {
	return sdk.NewClient(option.WithBaseURL(p.URL+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

func TestTheOfficialClientReachesWhatIsPassedOn(t *testing.T) {
	s := newStudio(t)
	p := start(t, studioSite(s), upKey)
	c, ctx := sdkClient(p, p.Key), t.Context()
	recording := "RIFF" + strings.Repeat("\x00\r\n--", 3000)
	file := func() io.Reader { return sdk.File(strings.NewReader(recording), "a.wav", "audio/wav") }

	for _, step := range []struct {
		name, model string // as the studio is to be asked
		do          func() (string, error)
		want        string
	}{
		{"a completion", "upstream-text", func() (string, error) {
			a, err := c.Completions.New(ctx, sdk.CompletionNewParams{Model: "text", Prompt: sdk.CompletionNewParamsPromptUnion{OfString: sdk.String("ping")}})
			if err != nil {
				return "", err
			}
			return a.Choices[0].Text, nil
		}, "pong"},
		{"a streamed completion", "upstream-text", func() (text string, err error) {
			stream := c.Completions.NewStreaming(ctx, sdk.CompletionNewParams{Model: "text", Prompt: sdk.CompletionNewParamsPromptUnion{OfString: sdk.String("ping")}})
			for stream.Next() {
				text += stream.Current().Choices[0].Text // an event without choices, of the usage that was not asked for, would panic
			}
			return text, stream.Err()
		}, "pong"},
		{"an image", "upstream-painter", func() (string, error) {
			a, err := c.Images.Generate(ctx, sdk.ImageGenerateParams{Model: "painter", Prompt: "a cat"})
			if err != nil {
				return "", err
			}
			return a.Data[0].B64JSON, nil
		}, "aW1hZ2U="},
		{"a streamed image", "upstream-painter", func() (text string, err error) {
			stream := c.Images.GenerateStreaming(ctx, sdk.ImageGenerateParams{Model: "painter", Prompt: "a cat"})
			for stream.Next() {
				text += stream.Current().Type + " "
			}
			return text, stream.Err()
		}, "image_generation.partial_image image_generation.completed "},
		{"an edited image", "upstream-painter", func() (string, error) {
			a, err := c.Images.Edit(ctx, sdk.ImageEditParams{Model: "painter", Prompt: "a hat", Image: sdk.ImageEditParamsImageUnion{OfFile: file()}})
			if err != nil {
				return "", err
			}
			return a.Data[0].B64JSON + s.last().file, nil
		}, "aW1hZ2U=" + recording},
		{"a variation by the provider's own model", "", func() (string, error) {
			a, err := c.Images.NewVariation(ctx, sdk.ImageNewVariationParams{Image: file()})
			if err != nil {
				return "", err
			}
			return a.Data[0].B64JSON, nil
		}, "aW1hZ2U="},
		{"speech", "upstream-voice", func() (string, error) {
			a, err := c.Audio.Speech.New(ctx, sdk.AudioSpeechNewParams{Model: "voice", Input: "hello", Voice: sdk.AudioSpeechNewParamsVoiceUnion{OfString: sdk.String("alloy")}})
			if err != nil {
				return "", err
			}
			defer a.Body.Close()
			sound, err := io.ReadAll(a.Body)
			return a.Header.Get("Content-Type") + " " + string(sound), err
		}, "audio/mpeg \xff\xfb\x00sound of hello"},
		{"a transcription", "upstream-ear", func() (string, error) {
			a, err := c.Audio.Transcriptions.New(ctx, sdk.AudioTranscriptionNewParams{Model: "ear", File: file()})
			if err != nil {
				return "", err
			}
			return a.Text + s.last().file, nil
		}, "heard" + recording},
		{"a streamed transcription", "upstream-ear", func() (text string, err error) {
			stream := c.Audio.Transcriptions.NewStreaming(ctx, sdk.AudioTranscriptionNewParams{Model: "ear", File: file()})
			for stream.Next() {
				text += stream.Current().Type + " "
			}
			return text, stream.Err()
		}, "transcript.text.delta transcript.text.done "},
		{"a translation", "upstream-ear", func() (string, error) {
			a, err := c.Audio.Translations.New(ctx, sdk.AudioTranslationNewParams{Model: "ear", File: file()})
			if err != nil {
				return "", err
			}
			return a.Text, nil
		}, "heard"},
		{"a moderation by the provider's own model", "", func() (string, error) {
			a, err := c.Moderations.New(ctx, sdk.ModerationNewParams{Input: sdk.ModerationNewParamsInputUnion{OfString: sdk.String("hello")}})
			if err != nil {
				return "", err
			}
			return a.Model, nil
		}, "omni-moderation-latest"},
	} {
		t.Run(step.name, func(t *testing.T) {
			got, err := step.do()
			if err != nil || got != step.want {
				t.Fatalf("got %.80q and error %v, want %.80q", got, err, step.want)
			}
			if last := s.last(); last.model != step.model || last.key != "Bearer "+strings.TrimPrefix(upKey, "UP_KEY=") {
				t.Errorf("the studio was asked for the model %q with the key %q", last.model, last.key)
			}
		})
	}
	p.stop() // writes what is left to the ledger
	used := make(map[string]string)
	db, err := sql.Open("sqlite", filepath.Join(p.Dir, "data", "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT surface, model, sum(calls), sum(input), sum(output), max(estimated) FROM usage GROUP BY surface, model`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var surface, model string
		var calls, input, output int
		var estimated bool
		if err := rows.Scan(&surface, &model, &calls, &input, &output, &estimated); err != nil {
			t.Fatal(err)
		}
		used[surface] = fmt.Sprintf("%s %d %d %d %t", model, calls, input, output, estimated)
	}
	for surface, want := range map[string]string{
		"completions": "text 2 6 4 false", "images_generations": "painter 2 22 200 false", "images_edits": "painter 1 11 100 false",
		"images_variations": "_other 1 11 100 false", "audio_speech": "voice 1 2 1 true", "audio_transcriptions": "ear 2 28 4 false",
		"audio_translations": "ear 1 14 2 false", "moderations": "_other 1 2 0 true",
	} {
		if got := used[surface]; got != want {
			t.Errorf("the ledger has %q of %s, want %q", got, surface, want)
		}
	}
}

func TestHeadersOfAnAnswerThatIsPassedOn(t *testing.T) {
	s := newStudio(t)
	p := start(t, studioSite(s), upKey)
	got := p.do("POST", "/v1/audio/speech", p.Key, `{"model":"voice","input":"hello","voice":"alloy"}`)
	for name, want := range map[string]string{
		"Content-Type": "audio/mpeg", "X-Content-Type-Options": "nosniff", "X-Llm-Provider": "studio", "X-Llm-Model": "upstream-voice", "X-Cache": "BYPASS",
		"Content-Length": "17", "Openai-Organization": "", "X-Ratelimit-Limit-Requests": "1000",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

// form is a form with a file and fields, which come in pairs.
func form(t *testing.T, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, "sound") //nolint:errcheck // a buffer takes everything
	w.Close()
	return w.FormDataContentType(), b.String()
}

func TestAnswersOfTextAreOfTheirOwnType(t *testing.T) {
	p := start(t, studioSite(newStudio(t)), upKey)
	contentType, body := form(t, "model", "ear", "response_format", "vtt")
	got := p.do("POST", "/v1/audio/transcriptions", p.Key, body, "Content-Type", contentType)
	if got.Status != 200 || got.Header.Get("Content-Type") != "text/vtt; charset=utf-8" || !strings.HasPrefix(got.Body, "WEBVTT") {
		t.Errorf("%d %s %s", got.Status, got.Header.Get("Content-Type"), got.Body)
	}
}

func TestWhatCannotBePassedOnIsRefused(t *testing.T) {
	s := newStudio(t)
	named := strings.NewReplacer("llm_gateway {", "llm_gateway {\n\t\tprovider demo", "surfaces chat", "models upstream-voice\n\t\t\tsurfaces chat").Replace(studioSite(s))
	p := start(t, named, upKey)
	barred := p.newKey(map[string]any{"allowed_models": []string{"text"}})
	contentType, unnamed := form(t)
	twice, two := form(t, "model", "ear", "model", "voice")
	for _, tt := range []struct {
		name, method, path, key, contentType, body string
		status                                     int
		says                                       string
	}{
		{"a model whose provider has no audio", "POST", "/v1/audio/speech", p.Key, "", `{"model":"demo/demo","input":"a"}`, 404, `the model \"demo/demo\" has no audio here`},
		{"a model that is not there", "POST", "/v1/audio/speech", p.Key, "", `{"model":"studio/nope","input":"a"}`, 404, "does not exist"},
		{"no model", "POST", "/v1/audio/speech", p.Key, "", `{"input":"a"}`, 400, "model is missing"},
		{"no model in a form", "POST", "/v1/audio/transcriptions", p.Key, contentType, unnamed, 400, "model is missing"},
		{"two models in a form", "POST", "/v1/audio/transcriptions", p.Key, twice, two, 400, "one plain field"},
		{"a form where there is to be JSON", "POST", "/v1/audio/speech", p.Key, contentType, unnamed, 400, "JSON"},
		{"a form without its boundary", "POST", "/v1/audio/transcriptions", p.Key, "multipart/form-data", unnamed, 400, "well-formed multipart form"},
		{"a key that may not use the model", "POST", "/v1/audio/speech", barred, "", `{"model":"voice","input":"a"}`, 403, "may not use"},
		{"a key of certain models that names none", "POST", "/v1/moderations", barred, "", `{"input":"a"}`, 403, "name one of them"},
		{"another method", "GET", "/v1/images/generations", p.Key, "", "", 405, "use POST"},
		{"no key", "POST", "/v1/moderations", "", "", `{"input":"a"}`, 401, "key is missing"},
		{"a file that is no form", "POST", "/v1/files", p.Key, "", `{}`, 400, "multipart/form-data"},
		{"a path below a file's content", "GET", "/v1/files/file-1/content/more", p.Key, "", "", 404, "no such file"},
		{"a change of a file", "PATCH", "/v1/files/file-1", p.Key, "", "", 405, "use GET or DELETE"},
		{"another method for files", "PUT", "/v1/files", p.Key, "", "", 405, "use GET or POST"},
		{"a page of nothing", "GET", "/v1/files?limit=0", p.Key, "", "", 400, "limit"},
		{"a page after nothing", "GET", "/v1/files?after=file-9", p.Key, "", "", 400, "after names no file"},
		{"an order that is none", "GET", "/v1/files?order=up", p.Key, "", "", 400, "asc or desc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{}
			if tt.contentType != "" {
				headers = []string{"Content-Type", tt.contentType}
			}
			got := p.do(tt.method, tt.path, tt.key, tt.body, headers...)
			if got.Status != tt.status || !strings.Contains(got.Body, tt.says) || !strings.HasPrefix(got.Body, `{"error":{"message":`) {
				t.Errorf("%d %s, want %d that says %s", got.Status, got.Body, tt.status, tt.says)
			}
		})
	}
	if s.mu.Lock(); len(s.asked) > 0 {
		t.Errorf("the studio was asked %v", s.asked)
	}
	s.mu.Unlock()
}

func TestSpeechArrivesWhileItIsSpoken(t *testing.T) {
	s := newStudio(t)
	heard := make(chan struct{})
	s.speak = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "first") //nolint:errcheck
		w.(http.Flusher).Flush()
		select {
		case <-heard:
			io.WriteString(w, " second") //nolint:errcheck
		case <-r.Context().Done():
		}
	}
	p := start(t, studioSite(s), upKey)
	resp, err := p.send(t.Context(), "POST", "/v1/audio/speech", p.Key, `{"model":"voice","input":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	piece := make([]byte, len("first"))
	if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != "first" {
		t.Fatalf("%q, %v", piece, err)
	}
	close(heard)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != " second" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestSpeechThatBreaksOffEndsInABrokenConnection(t *testing.T) {
	s := newStudio(t)
	s.speak = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "first") //nolint:errcheck
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	p := start(t, studioSite(s), upKey)
	resp, err := p.send(t.Context(), "POST", "/v1/audio/speech", p.Key, `{"model":"voice","input":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if sound, err := io.ReadAll(resp.Body); err == nil || string(sound) != "first" {
		t.Errorf("%q and error %v, as if that were all", sound, err)
	}
	// The gateway goes on, and the limit of the key on calls at a time has none too many.
	one := p.newKey(map[string]any{"limits": []string{"1concurrent"}})
	for range 2 {
		resp, err := p.send(t.Context(), "POST", "/v1/audio/speech", one, `{"model":"voice","input":"a"}`)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body) //nolint:errcheck // it breaks off
		resp.Body.Close()
		poll(t, pollFor, "the slot to be given back", func() bool { return p.do("GET", "/v1/files", one, "").Status == 200 })
	}
}
