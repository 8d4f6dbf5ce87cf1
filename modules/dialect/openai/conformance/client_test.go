// Package conformance holds the wire format against OpenAI's own client. It is a package of its own because
// that client takes long to compile, longer still for fuzzing.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

func client(status int, contentType string, text []byte) sdk.Client {
	return sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithBaseURL("http://gateway.test/v1"), option.WithHTTPClient(dialecttest.Answering(status, contentType, text)))
}

func TestTheClientReadsAReplayAsTheAnswerItself(t *testing.T) {
	answers, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(answers) == 0 {
		t.Fatal("no answers", err)
	}
	for _, path := range answers {
		t.Run(filepath.Base(path), func(t *testing.T) {
			answer, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want sdk.ChatCompletion
			if err := json.Unmarshal(answer, &want); err != nil {
				t.Fatal(err)
			}
			events := dialecttest.Replayed(t, &openai.Codec, answer, dialect.StreamOptions{IncludeUsage: true})
			c := client(http.StatusOK, "text/event-stream", events)
			stream := c.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{})
			var got sdk.ChatCompletionAccumulator
			for stream.Next() {
				if !got.AddChunk(stream.Current()) {
					t.Fatalf("the client does not take %s", stream.Current().RawJSON())
				}
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			if got.ID != want.ID || got.Model != want.Model || got.Created != want.Created || len(got.Choices) != len(want.Choices) || got.Usage.TotalTokens != want.Usage.TotalTokens {
				t.Fatalf("got %+v, want %s", got.ChatCompletion, answer)
			}
			for i, choice := range got.Choices {
				compare(t, choice, want.Choices[i])
			}
		})
	}
}

func compare(t *testing.T, got, want sdk.ChatCompletionChoice) {
	t.Helper()
	if got.FinishReason != want.FinishReason || got.Message.Content != want.Message.Content || got.Message.Refusal != want.Message.Refusal {
		t.Errorf("got %+v, want %s", got, want.RawJSON())
	}
	if len(got.Logprobs.Content) != len(want.Logprobs.Content) || len(got.Message.ToolCalls) != len(want.Message.ToolCalls) {
		t.Fatalf("got %+v, want %s", got, want.RawJSON())
	}
	for i, call := range got.Message.ToolCalls {
		wanted := want.Message.ToolCalls[i]
		if call.ID != wanted.ID || call.Type != wanted.Type || call.Function.Name != wanted.Function.Name || call.Function.Arguments != wanted.Function.Arguments {
			t.Errorf("got %+v, want %s", call, wanted.RawJSON())
		}
	}
}

func TestTheClientUnderstandsErrors(t *testing.T) {
	e := &dialect.Error{Kind: dialect.RateLimit, Message: "too many requests", Field: "model"}
	c := client(openai.Status(e), "application/json", openai.AppendError(nil, e))
	_, err := c.Chat.Completions.New(t.Context(), sdk.ChatCompletionNewParams{})
	var got *sdk.Error
	if !errors.As(err, &got) || got.StatusCode != http.StatusTooManyRequests || got.Message != e.Message || got.Code != "rate_limit_exceeded" || got.Param != "model" || got.Type != "rate_limit_error" {
		t.Errorf("got %+v", err)
	}
}

func TestTheClientEndsAStreamAtAnErrorEvent(t *testing.T) {
	first := []byte(`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n")
	c := client(http.StatusOK, "text/event-stream", openai.AppendErrorEvent(first, dialect.Errorf(dialect.UpstreamFailed, "broken off")))
	stream := c.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{})
	events := 0
	for stream.Next() {
		events++
	}
	if events != 1 || stream.Err() == nil {
		t.Errorf("%d events, %v", events, stream.Err())
	}
}

func TestTheClientReadsAListOfModels(t *testing.T) {
	c := client(http.StatusOK, "application/json", openai.AppendModels(nil, []dialect.Model{{ID: "a"}, {ID: "b", Created: 7, OwnedBy: "us"}}))
	page, err := c.Models.List(t.Context())
	if err != nil || len(page.Data) != 2 || page.Data[1].ID != "b" || page.Data[1].Created != 7 || page.Data[1].OwnedBy != "us" {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestTheClientReadsTranslatedStreamsAsTheAnswersThemselves(t *testing.T) {
	dialecttest.TranslatedAnswers(t, dialect.OpenAI, func(t *testing.T, events, whole []byte) {
		c := client(http.StatusOK, "application/json", whole)
		want, err := c.Chat.Completions.New(t.Context(), sdk.ChatCompletionNewParams{})
		if err != nil {
			t.Fatal(err)
		}
		c = client(http.StatusOK, "text/event-stream", events)
		stream := c.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{})
		var got sdk.ChatCompletionAccumulator
		for stream.Next() {
			if !got.AddChunk(stream.Current()) {
				t.Fatalf("the client does not take %s", stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if got.ID != want.ID || got.ID == "" || got.Model != want.Model || got.Created != want.Created || len(got.Choices) != 1 || len(want.Choices) != 1 || got.Usage.TotalTokens != want.Usage.TotalTokens {
			t.Fatalf("got %+v, want %s", got.ChatCompletion, whole)
		}
		// Where the client is given arguments in pieces, their white space is the provider's own.
		for _, choice := range [][]sdk.ChatCompletionChoice{got.Choices, want.Choices} {
			for i := range choice[0].Message.ToolCalls {
				arguments := &choice[0].Message.ToolCalls[i].Function.Arguments
				var compact bytes.Buffer
				if err := json.Compact(&compact, []byte(*arguments)); err != nil {
					t.Fatalf("%s: %v", *arguments, err)
				}
				*arguments = compact.String()
			}
		}
		compare(t, got.Choices[0], want.Choices[0])
	})
}

func TestTheClientRaisesWhatBreaksATranslatedStream(t *testing.T) {
	dialecttest.TranslatedFailures(t, dialect.OpenAI, func(t *testing.T, _ string, events []byte) {
		c := client(http.StatusOK, "text/event-stream", events)
		stream := c.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{})
		text := ""
		for stream.Next() {
			text += stream.Current().Choices[0].Delta.Content
		}
		if stream.Err() == nil || text != "Well, in" {
			t.Errorf("the client raises %v after %q", stream.Err(), text)
		}
	})
}

// What the client itself would send is what it understands of what we send.
func TestTheClientKnowsEveryFieldOfTranslatedRequests(t *testing.T) {
	dialecttest.Translated(t, dialect.OpenAI, "request.json", func(t *testing.T, _ string, body []byte) {
		var params sdk.ChatCompletionNewParams
		got, want := dialecttest.Respelled(t, body, &params)
		if _, named := want["tool_choice"].(map[string]any); named { // which the client can send, but not read as one of all choices
			var choice struct {
				Named sdk.ChatCompletionNamedToolChoiceParam `json:"tool_choice"`
			}
			if err := json.Unmarshal(body, &choice); err != nil || choice.Named.Function.Name != "get_weather" {
				t.Errorf("the client reads the tool choice as %+v, %v", choice, err)
			}
			delete(got, "tool_choice")
			delete(want, "tool_choice")
		}
		delete(want, "stream") // which the client sets by itself
		for _, message := range want["messages"].([]any) {
			maps.DeleteFunc(message.(map[string]any), func(_ string, value any) bool { return value == nil }) // which it leaves out
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the client would send\n%v\nnot\n%s", got, body)
		}
	})
}
