// Package conformance holds the wire format against OpenAI's own client. It is a package of its own because
// that client takes long to compile, longer still for fuzzing.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	api "github.com/openai/openai-go/v3/responses"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
)

func client(status int, contentType string, text []byte) sdk.Client {
	return sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithBaseURL("http://gateway.test/v1"), option.WithHTTPClient(dialecttest.Answering(status, contentType, text)))
}

// meaning is what a user of the client sees of an answer.
type meaning struct {
	id, model, status, reason, text string
	items                           []itemMeaning
	input, cached, output, thought  int64
}

type itemMeaning struct {
	kind, status, id, callID, name, arguments, encrypted string
	texts                                                []string
}

func meaningOf(t *testing.T, r *api.Response) meaning {
	t.Helper()
	got := meaning{id: r.ID, model: r.Model, status: string(r.Status), reason: r.IncompleteDetails.Reason, text: r.OutputText(),
		input: r.Usage.InputTokens, cached: r.Usage.InputTokensDetails.CachedTokens, output: r.Usage.OutputTokens, thought: r.Usage.OutputTokensDetails.ReasoningTokens}
	for _, output := range r.Output {
		it := itemMeaning{kind: output.Type, id: output.ID, callID: output.CallID, name: output.Name, encrypted: output.EncryptedContent}
		switch output.Type {
		case "message":
			for _, content := range output.AsMessage().Content {
				it.texts = append(it.texts, content.Text+content.Refusal)
				for _, a := range content.Annotations {
					it.texts = append(it.texts, a.URL+" "+a.Title)
				}
			}
			it.status = output.Status
		case "reasoning":
			for _, summary := range output.AsReasoning().Summary {
				it.texts = append(it.texts, summary.Text)
			}
		case "function_call":
			// Where the client is given arguments in pieces, their white space is the provider's own.
			var compact bytes.Buffer
			if arguments := output.AsFunctionCall().Arguments; json.Compact(&compact, []byte(arguments)) != nil {
				t.Fatalf("the arguments are %s", arguments)
			}
			it.arguments = compact.String()
		}
		got.items = append(got.items, it)
	}
	return got
}

// told is what a stream came to, by its last event, and the text that its fragments made.
func told(t *testing.T, stream []byte) (answer *api.Response, text string) {
	t.Helper()
	c := client(http.StatusOK, "text/event-stream", stream)
	s := c.Responses.NewStreaming(t.Context(), api.ResponseNewParams{})
	for s.Next() {
		switch e := s.Current().AsAny().(type) {
		case api.ResponseTextDeltaEvent:
			text += e.Delta
		case api.ResponseCompletedEvent:
			answer = &e.Response
		case api.ResponseIncompleteEvent:
			answer = &e.Response
		}
	}
	if s.Err() != nil || answer == nil {
		t.Fatalf("%v: %s", s.Err(), stream)
	}
	return answer, text
}

func TestTheClientReadsTranslatedStreamsAsTheAnswersThemselves(t *testing.T) {
	dialecttest.TranslatedAnswers(t, dialect.Responses, func(t *testing.T, stream, whole []byte) {
		c := client(http.StatusOK, "application/json", whole)
		answer, err := c.Responses.New(t.Context(), api.ResponseNewParams{})
		if err != nil {
			t.Fatal(err)
		}
		want := meaningOf(t, answer)
		streamed, text := told(t, stream)
		if got := meaningOf(t, streamed); !reflect.DeepEqual(got, want) || text != want.text {
			t.Errorf("the stream is read as\n%+v\nthe answer as\n%+v", got, want)
		}
		if want.id == "" || want.model == "" || want.status == "" || len(want.items) == 0 || want.input == 0 || want.output == 0 {
			t.Errorf("the answer is read as %+v", want)
		}
	})
}

func TestTheClientReadsAReplayAsTheAnswerItself(t *testing.T) {
	dialecttest.Translated(t, dialect.Responses, "answer.json", func(t *testing.T, _ string, answer []byte) {
		var want api.Response
		if err := json.Unmarshal(answer, &want); err != nil {
			t.Fatal(err)
		}
		events := dialecttest.Replayed(t, &responses.Codec, answer, dialect.StreamOptions{IncludeUsage: true})
		streamed, text := told(t, events)
		if got, want := meaningOf(t, streamed), meaningOf(t, &want); !reflect.DeepEqual(got, want) || text != want.text {
			t.Errorf("the replay is read as\n%+v\nthe answer as\n%+v", got, want)
		}
	})
}

// The events of a stream have all members that the client's types ask for.
func TestEveryEventHasWhatTheClientNeeds(t *testing.T) {
	dialecttest.Translated(t, dialect.Responses, "stream.sse", func(t *testing.T, path string, stream []byte) {
		c := client(http.StatusOK, "text/event-stream", stream)
		s := c.Responses.NewStreaming(t.Context(), api.ResponseNewParams{})
		for s.Next() {
			var extra bytes.Buffer
			decoder := json.NewDecoder(strings.NewReader(s.Current().RawJSON()))
			decoder.UseNumber()
			var sent map[string]any
			if err := decoder.Decode(&sent); err != nil {
				t.Fatal(err)
			}
			event := reflect.ValueOf(s.Current().AsAny())
			for i := range event.NumField() {
				tag := event.Type().Field(i).Tag
				name := tag.Get("json")
				if _, has := sent[name]; !has && (tag.Get("api") == "required" || name == "type") {
					extra.WriteString(name + " ")
				}
			}
			if extra.Len() > 0 {
				t.Errorf("%s lacks %s", s.Current().RawJSON(), extra.String())
			}
		}
	})
}

func TestTheClientRaisesWhatBreaksAStream(t *testing.T) {
	dialecttest.TranslatedFailures(t, dialect.Responses, func(t *testing.T, _ string, stream []byte) {
		c := client(http.StatusOK, "text/event-stream", stream)
		s := c.Responses.NewStreaming(t.Context(), api.ResponseNewParams{})
		text := ""
		for s.Next() {
			text += s.Current().AsResponseOutputTextDelta().Delta
		}
		if s.Err() == nil || text != "Well, in" {
			t.Errorf("the client raises %v after %q", s.Err(), text)
		}
	})
	first := []byte("event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{}}\n\n")
	c := client(http.StatusOK, "text/event-stream", responses.AppendErrorEvent(first, dialect.Errorf(dialect.UpstreamFailed, "broken off")))
	s := c.Responses.NewStreaming(t.Context(), api.ResponseNewParams{})
	events := 0
	for s.Next() {
		events++
	}
	if events != 1 || s.Err() == nil || !strings.Contains(s.Err().Error(), "broken off") {
		t.Errorf("%d events, %v", events, s.Err())
	}
}

func TestTheClientUnderstandsErrors(t *testing.T) {
	e := &dialect.Error{Kind: dialect.RateLimit, Message: "too many requests", Field: "model"}
	c := client(responses.Codec.Status(e), "application/json", responses.Codec.AppendError(nil, e))
	_, err := c.Responses.New(t.Context(), api.ResponseNewParams{})
	var got *sdk.Error
	if !errors.As(err, &got) || got.StatusCode != http.StatusTooManyRequests || got.Message != e.Message || got.Code != "rate_limit_exceeded" || got.Param != "model" {
		t.Errorf("got %+v", err)
	}
}

// What the client sends is read, and nothing of it is unknown.
func TestWhatTheClientSendsIsUnderstood(t *testing.T) {
	item := func(raw string) api.ResponseInputItemUnionParam {
		var it api.ResponseInputItemUnionParam
		if err := json.Unmarshal([]byte(raw), &it); err != nil {
			t.Fatal(err)
		}
		return it
	}
	params := api.ResponseNewParams{
		Model: "m", Instructions: sdk.String("Be brief."), MaxOutputTokens: sdk.Int(9), Temperature: sdk.Float(0), Store: sdk.Bool(false),
		Input: api.ResponseNewParamsInputUnion{OfInputItemList: api.ResponseInputParam{
			api.ResponseInputItemParamOfMessage("Weather?", api.EasyInputMessageRoleUser),
			item(`{"type":"message","role":"user","content":[{"type":"input_text","text":"Here."},{"type":"input_image","image_url":"https://example.com/a.png","detail":"auto"}]}`),
			item(`{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":"anthropic.signature.c2ln"}`),
			api.ResponseInputItemParamOfFunctionCall(`{"city":"Paris"}`, "call_1", "weather"),
			item(`{"type":"function_call_output","call_id":"call_1","output":"18"}`),
		}},
		Tools: []api.ToolUnionParam{{OfFunction: &api.FunctionToolParam{Name: "weather", Strict: sdk.Bool(true), Parameters: map[string]any{"type": "object"}}}},
	}
	body, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	r, fault := responses.DecodeRequest(body)
	if fault != nil || len(r.Unmet) > 0 {
		t.Fatal(fault, r, string(body))
	}
	if len(r.System) != 1 || len(r.Turns) != 4 || len(r.Turns[2].Parts) != 2 || len(r.Tools) != 1 || string(r.MaxTokens) != "9" {
		t.Errorf("%s is read as %+v", body, r)
	}
}
