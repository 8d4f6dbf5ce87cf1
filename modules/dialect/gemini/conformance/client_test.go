// Package conformance holds the wire format against Google's own client. It is a package of its own because that
// client takes long to compile, longer still for fuzzing.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
)

func clientOver(t *testing.T, over *http.Client) *genai.Client {
	t.Helper()
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{APIKey: "k", Backend: genai.BackendGeminiAPI,
		HTTPClient: over, HTTPOptions: genai.HTTPOptions{BaseURL: "http://gateway.test/"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t *testing.T, status int, contentType string, text []byte) *genai.Client {
	t.Helper()
	return clientOver(t, dialecttest.Answering(status, contentType, text))
}

// meaning is what a user of the client sees of an answer. The client does not tell a finishMessage.
type meaning struct {
	id, model, reason          string
	text, thoughts, signatures string
	calls                      []string
	pages                      []string
	usage                      [5]int32
}

// add adds a response, or one event of a stream.
func (m *meaning) add(t *testing.T, r *genai.GenerateContentResponse) {
	t.Helper()
	m.id, m.model = r.ResponseID, r.ModelVersion
	if u := r.UsageMetadata; u != nil {
		m.usage = [5]int32{u.PromptTokenCount, u.CachedContentTokenCount, u.CandidatesTokenCount, u.ThoughtsTokenCount, u.TotalTokenCount}
	}
	for _, c := range r.Candidates {
		if c.FinishReason != "" {
			m.reason = string(c.FinishReason)
		}
		if c.GroundingMetadata != nil {
			m.pages = nil
			for i, support := range c.GroundingMetadata.GroundingSupports {
				page := c.GroundingMetadata.GroundingChunks[support.GroundingChunkIndices[0]].Web
				m.pages = append(m.pages, page.URI+" "+page.Title)
				if end := support.Segment.EndIndex; i == 0 && (end <= support.Segment.StartIndex || int(end) > len(m.text)+len(text(c))) {
					t.Errorf("a page supports bytes %d to %d", support.Segment.StartIndex, end)
				}
			}
		}
		m.text += text(c)
		for _, part := range c.Content.Parts {
			if part.Thought {
				m.thoughts += part.Text
			}
			m.signatures += string(part.ThoughtSignature)
			if call := part.FunctionCall; call != nil {
				args, err := json.Marshal(call.Args)
				if err != nil {
					t.Fatal(err)
				}
				m.calls = append(m.calls, call.ID+" "+call.Name+" "+string(args))
			}
		}
	}
}

func text(c *genai.Candidate) (all string) {
	for _, part := range c.Content.Parts {
		if !part.Thought {
			all += part.Text
		}
	}
	return all
}

func streamed(t *testing.T, stream []byte) (m meaning, err error) {
	t.Helper()
	c := client(t, http.StatusOK, "text/event-stream", stream)
	for r, err := range c.Models.GenerateContentStream(t.Context(), "m", genai.Text("Hi"), nil) {
		if err != nil {
			return m, err
		}
		m.add(t, r)
	}
	return m, nil
}

func TestTheClientReadsTranslatedStreamsAsTheAnswersThemselves(t *testing.T) {
	dialecttest.TranslatedAnswers(t, dialect.Gemini, func(t *testing.T, stream, whole []byte) {
		answer, err := client(t, http.StatusOK, "application/json", whole).Models.GenerateContent(t.Context(), "m", genai.Text("Hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var want meaning
		want.add(t, answer)
		if got, err := streamed(t, stream); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the stream is read as\n%+v, %v\nthe answer as\n%+v", got, err, want)
		}
		if want.id == "" || want.model == "" || want.reason == "" || want.usage[0] == 0 || want.usage[4] == 0 ||
			want.reason != "SAFETY" && want.text+strings.Join(want.calls, "") == "" {
			t.Errorf("the answer is read as %+v", want)
		}
	})
}

func TestTheClientReadsAReplayAsTheAnswerItself(t *testing.T) {
	dialecttest.Translated(t, dialect.Gemini, "answer.json", func(t *testing.T, _ string, answer []byte) {
		response, err := client(t, http.StatusOK, "application/json", answer).Models.GenerateContent(t.Context(), "m", genai.Text("Hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var want meaning
		want.add(t, response)
		events := dialecttest.Replayed(t, &gemini.Codec, answer, dialect.StreamOptions{IncludeUsage: true})
		if got, err := streamed(t, events); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the replay is read as\n%+v, %v\nthe answer as\n%+v", got, err, want)
		}
	})
}

func TestTheClientRaisesWhatBreaksAStream(t *testing.T) {
	dialecttest.TranslatedFailures(t, dialect.Gemini, func(t *testing.T, path string, stream []byte) {
		m, err := streamed(t, stream)
		var raised genai.APIError
		want := "INTERNAL"
		if strings.Contains(path, "anthropic") {
			want = "UNAVAILABLE"
		}
		if !errors.As(err, &raised) || raised.Status != want || m.text != "Well, in" {
			t.Errorf("the client raises %v after %q", err, m.text)
		}
	})
}

// request is all of what the client knows of a request.
type request struct {
	Contents          []*genai.Content        `json:"contents"`
	SystemInstruction *genai.Content          `json:"systemInstruction,omitempty"`
	Tools             []*genai.Tool           `json:"tools,omitempty"`
	ToolConfig        *genai.ToolConfig       `json:"toolConfig,omitempty"`
	GenerationConfig  *genai.GenerationConfig `json:"generationConfig,omitempty"`
}

// What the client itself would send is what it understands of what we send.
func TestTheClientKnowsEveryFieldOfTranslatedRequests(t *testing.T) {
	dialecttest.Translated(t, dialect.Gemini, "request.json", func(t *testing.T, _ string, body []byte) {
		var known request
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&known); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(known)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(again, &got), json.Unmarshal(body, &want)); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(got), plain(want); !reflect.DeepEqual(got, want) {
			t.Errorf("the client would send\n%s\nnot\n%s", again, body)
		}
	})
}

// plain leaves out what the client does not send: empty objects and zeros. What it has as bytes is in the alphabet
// for addresses or the other one.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			switch member = plain(member); member {
			case nil, 0.0:
				delete(v, name)
			default:
				v[name] = member
			}
			if object, ok := member.(map[string]any); ok && len(object) == 0 {
				delete(v, name)
			}
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case string:
		return strings.NewReplacer("-", "+", "_", "/").Replace(v)
	}
	return value
}

// sent is the body that the client sends for a call.
func sent(t *testing.T, contents []*genai.Content, config *genai.GenerateContentConfig) []byte {
	t.Helper()
	var body []byte
	over := dialecttest.Transport(func(r *http.Request) *http.Response {
		body, _ = io.ReadAll(r.Body)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{}`))}
	})
	if _, err := clientOver(t, &http.Client{Transport: over}).Models.GenerateContent(t.Context(), "m", contents, config); err != nil {
		t.Fatal(err)
	}
	if err := dialect.Check(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return body
}

func TestWhatTheClientSendsIsUnderstood(t *testing.T) {
	call := genai.NewPartFromFunctionCall("get_weather", map[string]any{"city": "Paris"})
	call.ThoughtSignature = []byte("signature")
	body := sent(t, []*genai.Content{
		genai.NewContentFromParts([]*genai.Part{genai.NewPartFromText("Weather?"), genai.NewPartFromBytes([]byte("png"), "image/png"), genai.NewPartFromURI("https://example.com/a.pdf", "application/pdf")}, genai.RoleUser),
		genai.NewContentFromParts([]*genai.Part{call}, genai.RoleModel),
		genai.NewContentFromParts([]*genai.Part{genai.NewPartFromFunctionResponse("get_weather", map[string]any{"output": "18"})}, genai.RoleUser),
	}, &genai.GenerateContentConfig{
		SystemInstruction: genai.NewContentFromText("Be brief.", genai.RoleUser),
		Temperature:       genai.Ptr[float32](0.5), TopK: genai.Ptr[float32](40), Seed: genai.Ptr[int32](7), MaxOutputTokens: 100, CandidateCount: 1,
		StopSequences:  []string{"END"},
		ThinkingConfig: &genai.ThinkingConfig{ThinkingLevel: genai.ThinkingLevelHigh, IncludeThoughts: true},
		SafetySettings: []*genai.SafetySetting{{Category: genai.HarmCategoryHarassment, Threshold: genai.HarmBlockThresholdOff}},
		Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "get_weather", Parameters: &genai.Schema{
			Type: genai.TypeObject, Properties: map[string]*genai.Schema{"city": {Type: genai.TypeString, MinLength: genai.Ptr[int64](1)}}}}}}},
		ToolConfig:       &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAny, AllowedFunctionNames: []string{"get_weather"}}},
		ResponseMIMEType: "application/json", ResponseSchema: &genai.Schema{Type: genai.TypeInteger},
	})
	r, fault := gemini.DecodeRequest(body)
	if fault != nil || len(r.Unmet) > 0 {
		t.Fatal(fault, r.Unmet, string(body))
	}
	first, result := r.Turns[0].Parts, r.Turns[2].Parts[0]
	switch {
	case len(r.System) != 1 || r.System[0].Text.String() != "Be brief.",
		len(first) != 3 || first[0].Text.String() != "Weather?" || first[1].Kind != dialect.PartImage || string(first[1].Source.Data) != "cG5n",
		first[2].Kind != dialect.PartFile || first[2].Source.Kind != dialect.SourceURL,
		r.Turns[1].Parts[0].Name != "get_weather" || r.Turns[1].Parts[0].Signer != dialect.Gemini || string(r.Turns[1].Parts[0].Signature) != "c2lnbmF0dXJl",
		result.ID != r.Turns[1].Parts[0].ID || result.ID == "" || result.Result[0].Text.String() != "18",
		string(r.Sampling.Temperature) != "0.5" || string(r.Sampling.TopK) != "40" || string(r.Sampling.Seed) != "7" || string(r.MaxTokens) != "100" || r.Stop[0] != "END",
		r.Reasoning.Mode != dialect.ReasoningAdaptive || r.Reasoning.Effort != "high" || r.Reasoning.Display != "",
		string(r.Tools[0].Schema) != `{"properties":{"city":{"minLength":1,"type":"string"}},"type":"object"}`,
		r.Choice.Mode != dialect.ToolsNamed || r.Choice.Name != "get_weather",
		r.Format.Kind != dialect.FormatSchema || string(r.Format.Schema) != `{"type":"integer"}`:
		t.Errorf("%s is read as %+v", body, r)
	}
	peeked, fault := gemini.Peek(dialect.Chat, body)
	if fault != nil || peeked.MaxTokens != 100 || !peeked.HasSeed || peeked.Temperature != 0.5 {
		t.Errorf("peeked %+v, %v", peeked, fault)
	}
}

func TestErrorsHaveTheWordsThatTheClientKnows(t *testing.T) {
	for kind, want := range map[dialect.Kind]string{
		dialect.InvalidRequest: "INVALID_ARGUMENT",
		dialect.Authentication: "UNAUTHENTICATED",
		dialect.Permission:     "PERMISSION_DENIED",
		dialect.ModelNotFound:  "NOT_FOUND",
		dialect.RateLimit:      "RESOURCE_EXHAUSTED",
		dialect.Timeout:        "DEADLINE_EXCEEDED",
		dialect.Unavailable:    "UNAVAILABLE",
		dialect.Internal:       "INTERNAL",
	} {
		e := dialect.Errorf(kind, "what to do")
		e.RetryAfter = 2 * time.Second
		c := client(t, gemini.Status(e), "application/json", gemini.AppendError(nil, e))
		_, err := c.Models.GenerateContent(t.Context(), "m", genai.Text("Hi"), nil)
		var raised genai.APIError
		if !errors.As(err, &raised) || raised.Status != want || raised.Code != gemini.Status(e) || raised.Message != "what to do" {
			t.Errorf("%s is raised as %v, want %s", kind, err, want)
			continue
		}
		if last := raised.Details[len(raised.Details)-1]; last["retryDelay"] != "2s" {
			t.Errorf("%s is to be tried again after %v", kind, last)
		}
	}
}
