// Package conformance holds the wire format against Anthropic's own client. It is a package of its own because
// that client takes long to compile, longer still for fuzzing.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/shared"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
)

func client(status int, contentType string, text []byte) sdk.Client {
	return sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithBaseURL("http://gateway.test/"), option.WithHTTPClient(dialecttest.Answering(status, contentType, text)))
}

var params = sdk.MessageNewParams{Model: "m", MaxTokens: 9, Messages: []sdk.MessageParam{sdk.NewUserMessage(sdk.NewTextBlock("Hi"))}}

// meaning is what a user of the client sees of a message.
type meaning struct {
	id, model, stop, sequence, refusal string
	content                            []part
	input, cacheRead, cacheWrite       int64
	output                             int64
}

type part struct{ kind, text, thinking, signature, data, id, name, input string }

func meaningOf(t *testing.T, m *sdk.Message) meaning {
	got := meaning{id: m.ID, model: m.Model, stop: string(m.StopReason), sequence: m.StopSequence, refusal: m.StopDetails.Explanation,
		input: m.Usage.InputTokens, cacheRead: m.Usage.CacheReadInputTokens, cacheWrite: m.Usage.CacheCreationInputTokens, output: m.Usage.OutputTokens}
	for _, block := range m.Content {
		p := part{kind: block.Type, text: block.Text, thinking: block.Thinking, signature: block.Signature, data: block.Data, id: block.ID, name: block.Name}
		if block.Type == "tool_use" {
			var input bytes.Buffer
			if err := json.Compact(&input, block.Input); err != nil {
				t.Fatalf("%s: %v", block.Input, err)
			}
			p.input = input.String()
		}
		got.content = append(got.content, p)
	}
	return got
}

func accumulated(t *testing.T, stream []byte) *sdk.Message {
	t.Helper()
	c := client(http.StatusOK, "text/event-stream", stream)
	var m sdk.Message
	s := c.Messages.NewStreaming(t.Context(), params)
	for s.Next() {
		if err := m.Accumulate(s.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return &m
}

func TestTheClientReadsTranslatedStreamsAsTheAnswersThemselves(t *testing.T) {
	dialecttest.TranslatedAnswers(t, dialect.Anthropic, func(t *testing.T, stream, whole []byte) {
		c := client(http.StatusOK, "application/json", whole)
		answer, err := c.Messages.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		want := meaningOf(t, answer)
		if got := meaningOf(t, accumulated(t, stream)); !reflect.DeepEqual(got, want) {
			t.Errorf("the stream is read as\n%+v\nthe answer as\n%+v", got, want)
		}
		if want.id == "" || want.model == "" || want.stop == "" || want.input == 0 || want.output == 0 {
			t.Errorf("the answer is read as %+v", want)
		}
	})
}

func TestTheClientReadsAReplayAsTheAnswerItself(t *testing.T) {
	dialecttest.Translated(t, dialect.Anthropic, "answer.json", func(t *testing.T, _ string, answer []byte) {
		var want sdk.Message
		if err := json.Unmarshal(answer, &want); err != nil {
			t.Fatal(err)
		}
		events := dialecttest.Replayed(t, &anthropic.Codec, answer, dialect.StreamOptions{IncludeUsage: true})
		if got, want := meaningOf(t, accumulated(t, events)), meaningOf(t, &want); !reflect.DeepEqual(got, want) {
			t.Errorf("the replay is read as\n%+v\nthe answer as\n%+v", got, want)
		}
	})
}

func TestTheClientRaisesWhatBreaksAStream(t *testing.T) {
	dialecttest.TranslatedFailures(t, dialect.Anthropic, func(t *testing.T, _ string, stream []byte) {
		c := client(http.StatusOK, "text/event-stream", stream)
		s := c.Messages.NewStreaming(t.Context(), params)
		text := ""
		for s.Next() {
			text += s.Current().Delta.Text
		}
		var raised *sdk.Error
		if !errors.As(s.Err(), &raised) || raised.Type() != shared.ErrorTypeAPIError || text != "Well, in" {
			t.Errorf("the client raises %v after %q", s.Err(), text)
		}
	})
}

// blocks spells contents and system prompts that are strings as the client does: as arrays of one text.
func blocks(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if text, ok := member.(string); ok && (name == "content" || name == "system") {
				member = []any{map[string]any{"type": "text", "text": text}}
			}
			v[name] = blocks(member)
		}
	case []any:
		for i := range v {
			v[i] = blocks(v[i])
		}
	}
	return value
}

// What the client itself would send is what it understands of what we send.
func TestTheClientKnowsEveryFieldOfTranslatedRequests(t *testing.T) {
	dialecttest.Translated(t, dialect.Anthropic, "request.json", func(t *testing.T, _ string, body []byte) {
		var params sdk.MessageNewParams
		got, want := dialecttest.Respelled(t, body, &params)
		delete(want, "stream") // which the client sets by itself
		if !reflect.DeepEqual(blocks(got), blocks(want)) {
			t.Errorf("the client would send\n%v\nnot\n%s", got, body)
		}
	})
}

func TestErrorsHaveTheTypesThatTheClientKnows(t *testing.T) {
	for kind, want := range map[dialect.Kind]shared.ErrorType{
		dialect.InvalidRequest: shared.ErrorTypeInvalidRequestError,
		dialect.Authentication: shared.ErrorTypeAuthenticationError,
		dialect.Permission:     shared.ErrorTypePermissionError,
		dialect.ModelNotFound:  shared.ErrorTypeNotFoundError,
		dialect.RateLimit:      shared.ErrorTypeRateLimitError,
		dialect.Timeout:        shared.ErrorTypeTimeoutError,
		dialect.Unavailable:    shared.ErrorTypeOverloadedError,
		dialect.Internal:       shared.ErrorTypeAPIError,
	} {
		e := dialect.Errorf(kind, "what to do")
		c := client(anthropic.Status(e), "application/json", anthropic.AppendError(nil, e))
		_, err := c.Messages.New(t.Context(), params)
		var raised *sdk.Error
		if !errors.As(err, &raised) || raised.Type() != want || raised.StatusCode != anthropic.Status(e) {
			t.Errorf("%s is raised as %v, want %s", kind, err, want)
		}
	}
}
