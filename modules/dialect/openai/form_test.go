package openai

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// formOf writes a form in short: | is a line's end, and B the boundary's line.
func formOf(text string) []byte {
	return []byte(strings.NewReplacer("|", "\r\n", "B", "--frontier", "FIELD ", `Content-Disposition: form-data; name=`).Replace(text))
}

const formType = `multipart/form-data; boundary=frontier`

func TestFormsArePeekedAt(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       Form
	}{
		{"fields before the file", `B|FIELD "model"||whisper-1|B|FIELD "stream"||true|B|FIELD "file"; filename="a.mp3"|Content-Type: audio/mpeg||abc|B--|`, Form{Model: "whisper-1", Stream: true, Media: 3}},
		{"fields behind the file", `B|FIELD "file"; filename="a.mp3"||abc|B|FIELD "prompt"||four|B|FIELD "model"||m|B--`, Form{Model: "m", Text: 4, Media: 3}},
		{"no model", `B|FIELD "image[]"; filename="a"||abc|B|FIELD "image[]"; filename="b"||d|B--`, Form{Media: 4}},
		{"an empty model", `B|FIELD model|||B--`, Form{}},
		{"a boundary within a line", `B|FIELD "file"; filename="a"||x--frontier|y|B|FIELD "model"||m|B--`, Form{Model: "m", Media: 14}},
		{"a name in another case", `B|content-DISPOSITION: form-data; NAME="model"||m|B--`, Form{Model: "m"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := PeekForm(formType, formOf(tt.body))
			if got.from, got.to = 0, 0; err != nil || got != tt.want {
				t.Errorf("got %+v and error %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestFormsThatAnotherReaderCouldReadDifferentlyAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"two models":                             `B|FIELD "model"||a|B|FIELD "model"||b|B--`,
		"a model that is a file":                 `B|FIELD "model"; filename=""||a|B--`,
		"an encoded model":                       `B|FIELD "model"|Content-Transfer-Encoding: base64||YQ==|B--`,
		"a model that is no text":                "B|FIELD \"model\"||\xff|B--",
		"another spelling of model":              `B|FIELD "Model"||b|B--`,
		"two streams":                            `B|FIELD "model"||a|B|FIELD "stream"||true|B|FIELD "stream"||false|B--`,
		"no end":                                 `B|FIELD "model"||a|`,
		"an end in the middle of a line":         `B|FIELD "model"||aB--`,
		"something before the first part":        `x|B|FIELD "model"||a|B--`,
		"a part that ends in a bare line feed":   "B|FIELD \"model\"||a\nB|FIELD \"prompt\"||b|B--",
		"a part that ends in a bare return":      "B|FIELD \"model\"||a\rB|FIELD \"prompt\"||b|B--",
		"a boundary's line that goes on":         `B|FIELD "model"||a|B |FIELD "prompt"||b|B--`,
		"a boundary that is longer":              `B|FIELD "model"||a|Bx|FIELD "prompt"||b|B--`,
		"a header with a bare line feed":         "B|FIELD \"file\"; filename=\"a\nFIELD \"model\"\"||a|B--",
		"a header over two lines":                `B|Content-Disposition: form-data;| name="model"||a|B--`,
		"two dispositions":                       `B|FIELD "model"|FIELD "other"||a|B--`,
		"no disposition":                         `B|Content-Type: text/plain||a|B--`,
		"a delimiter in the place of a header":   `B|FIELD "model"|B|FIELD "other"||a|B--`,
		"a header without end":                   `B|FIELD "model"|`,
		"a header beyond measure":                `B|FIELD "model"|X: ` + strings.Repeat("x", maxPartHeader) + `||a|B--`,
		"nothing":                                ``,
		"more parts than anybody has":            strings.Repeat(`B|FIELD "x"||a|`, maxParts+1) + `B--`,
		"a name in two forms":                    `B|FIELD "model"; name*=utf-8''x||a|B|FIELD "model"||b|B--`,
		"something behind the end":               `B|FIELD "model"||a|B--|B|FIELD "model"||b|B--`,
		"an end whose line goes on":              `B|FIELD "model"||a|B--B||B--|`,
		"a header with a control character":      "B|FIELD \"model\"; x=\"\x10\"||a|B--",
		"a part of another kind":                 `B|Content-Disposition: attachment; name="model"||a|B--`,
		"a part without a line end of its own":   `B|FIELD "model"||B--`,
		"a header's name with a blank behind it": `B|Content-Disposition : form-data; name="model"||a|B--`,
	} {
		t.Run(name, func(t *testing.T) {
			if form, err := PeekForm(formType, formOf(body)); err == nil {
				t.Errorf("read as %+v", form)
			}
		})
	}
	for _, contentType := range []string{"multipart/form-data; boundary=frontier; boundary*=utf-8''other", "multipart/form-data", "multipart/mixed; boundary=frontier", "application/json", "", "multipart/form-data; boundary=" + strings.Repeat("x", 71)} {
		if form, err := PeekForm(contentType, formOf(`B|FIELD "model"||a|B--`)); err == nil {
			t.Errorf("%q: read as %+v", contentType, form)
		}
	}
}

// modelsOf reads the models of a form as Go's own reader does.
func modelsOf(contentType string, body []byte) (models []string, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return models, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		if part.FormName() == "model" {
			models = append(models, string(value))
		}
	}
}

// agrees checks that another reader finds the model that we do, and the one that we set.
func agrees(t interface{ Fatalf(string, ...any) }, contentType string, body []byte) {
	form, fault := PeekForm(contentType, body)
	if fault != nil {
		return
	}
	models, err := modelsOf(contentType, body)
	if err != nil || len(models) > 1 || form.to == 0 && len(models) > 0 || form.to > 0 && (len(models) != 1 || models[0] != form.Model) {
		t.Fatalf("%q: we read %+v, Go reads %q and error %v", body, form, models, err)
	}
	changed, fault := SetFormModel(nil, contentType, body, "upstream's")
	if fault != nil {
		t.Fatalf("%q: setting the model: %v", body, fault)
	}
	if form.to == 0 {
		if !bytes.Equal(changed, body) {
			t.Fatalf("%q became %q", body, changed)
		}
		return
	}
	if models, err = modelsOf(contentType, changed); err != nil || len(models) != 1 || models[0] != "upstream's" {
		t.Fatalf("%q: Go reads the models %q and error %v", changed, models, err)
	}
	if len(changed)-len("upstream's") != len(body)-len(form.Model) || !bytes.HasPrefix(changed, body[:form.from]) || !bytes.HasSuffix(changed, body[form.to:]) {
		t.Fatalf("%q became %q", body, changed)
	}
}

func TestFormsAreReadAsGoReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		content := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"--", w.Boundary(), "a", "\r\n", "\n", "\r", ": ", "\x00"}), 0, 8).Draw(t, "content"), "")
		})
		named := false
		for range rapid.IntRange(0, 5).Draw(t, "parts") {
			switch name := rapid.SampledFrom([]string{"model", "prompt", "file", "models", "model[]"}).Draw(t, "name"); {
			case name == "file":
				part, _ := w.CreateFormFile(name, `C:\ü"x".wav`)
				io.WriteString(part, content.Draw(t, "file")) //nolint:errcheck // a buffer takes everything
			case name != "model" || !named:
				named = named || name == "model"
				w.WriteField(name, rapid.SampledFrom([]string{"whisper-1", "ü", "a b", ""}).Draw(t, "value")) //nolint:errcheck
			}
		}
		w.Close()
		if !strings.Contains(body.String(), "\n--"+w.Boundary()+"a") {
			agrees(t, w.FormDataContentType(), body.Bytes())
		}
	})
}

func FuzzFormsAreReadAsGoReadsThem(f *testing.F) {
	for _, body := range []string{
		`B|FIELD "model"||whisper-1|B|FIELD "file"; filename="a.mp3"||abc|B--|`,
		`B|FIELD "model"||a|B |FIELD "model"||b|B--`,
		"B|FIELD \"model\"||a\nB|FIELD \"model\"||b|B--",
		`B|FIELD "model"; name*=utf-8''other||a|B--`,
	} {
		f.Add(formOf(body))
	}
	f.Add([]byte("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\na\r\n--B--B\r\n\r\n--B--\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) { agrees(t, formType, body) })
}

func BenchmarkFormOf25MiB(b *testing.B) {
	body := append(formOf(`B|FIELD "model"||whisper-1|B|FIELD "file"; filename="a.wav"||`), bytes.Repeat([]byte("-\x00-\n"), 25<<18)...)
	body = append(body, formOf(`|B--`)...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := PeekForm(formType, body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPassedRequestsArePeekedAt(t *testing.T) {
	for _, tt := range []struct {
		operation dialect.Operation
		body      string
		want      Request
	}{
		{dialect.TextCompletion, `{"model":"m","prompt":"a","max_tokens":10,"n":2,"best_of":3,"stream":true,"stream_options":{"include_usage":true}}`, Request{Model: "m", Stream: true, IncludeUsage: true, MaxTokens: 30, Choices: 2}},
		{dialect.TextCompletion, `{"model":"m","max_tokens":10,"n":2}`, Request{Model: "m", MaxTokens: 20, Choices: 2}},
		{dialect.ImageGeneration, `{"prompt":"a","n":2,"stream":null}`, Request{Choices: 2}},
		{dialect.Moderation, `{"input":"a"}`, Request{Choices: 1}},
		{dialect.Speech, `{"model":"m","input":"a","stream_format":"sse"}`, Request{Model: "m", Stream: true, Choices: 1}},
		{dialect.Speech, `{"model":"m","input":"a","stream_format":"audio"}`, Request{Model: "m", Choices: 1}},
	} {
		if got, err := PeekPassed(tt.operation, []byte(tt.body)); err != nil || got != tt.want {
			t.Errorf("%s %s: got %+v and error %v, want %+v", tt.operation, tt.body, got, err, tt.want)
		}
	}
	for operation, body := range map[dialect.Operation]string{
		dialect.TextCompletion: `{"prompt":"a"}`, dialect.Speech: `{"input":"a"}`, dialect.Transcription: `{}`, dialect.Moderation: `{"model":7}`,
	} {
		if got, err := PeekPassed(operation, []byte(body)); err == nil || err.Field != "model" {
			t.Errorf("%s %s: got %+v and error %v", operation, body, got, err)
		}
	}
}

func TestUsageOfMedia(t *testing.T) {
	for body, want := range map[string]dialect.Usage{
		`{"usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":45,"total_tokens":59}}`: {Input: 14, Output: 45},
		`{"text":"a","usage":{"type":"duration","seconds":9}}`:                                                                         {},
		`{"usage":{"input_tokens":-1,"output_tokens":3}}`:                                                                              {},
		`{"usage":null}`: {},
		`{"data":[]}`:    {},
	} {
		if got, ok := MediaUsageOf([]byte(body)); got != want || ok != (want != dialect.Usage{}) {
			t.Errorf("%s: got %+v, %t", body, got, ok)
		}
	}
}
