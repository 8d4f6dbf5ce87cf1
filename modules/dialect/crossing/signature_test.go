package crossing

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
)

// What a provider signed must come back to it as it was, through a client that speaks another dialect and sends the
// answer back as it got it.
func TestSignaturesComeBackToTheirProvider(t *testing.T) {
	tests := []struct {
		name             string
		provider, client *dialect.Codec
		answer           string // a recording of the provider's
		request          func(t *testing.T, answer []byte) string
		signatures       []string
	}{
		{"Google's, by OpenAI's client", &gemini.Codec, &openai.Codec, "one_tool", saidToOpenAI, []string{"EqADCp0DAXLI2nw="}},
		{"Anthropic's, by OpenAI's client", &anthropic.Codec, &openai.Codec, "reasoning", saidToOpenAI, []string{"EqQBCkYIARgCKkA=", "b3BhcXVl"}},
		{"Google's, by a client of the Responses API", &gemini.Codec, &responses.Codec, "one_tool", saidToResponses, []string{"EqADCp0DAXLI2nw="}},
		{"Anthropic's, by a client of the Responses API", &anthropic.Codec, &responses.Codec, "reasoning", saidToResponses, []string{"EqQBCkYIARgCKkA=", "b3BhcXVl"}},
		{"Anthropic's, by Google's client", &anthropic.Codec, &gemini.Codec, "reasoning", saidToGoogle, []string{"EqQBCkYIARgCKkA=", "b3BhcXVl"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, err := os.ReadFile("testdata/" + string(tt.provider.Name) + "/" + tt.answer + ".answer.json")
			if err != nil {
				t.Fatal(err)
			}
			stream, err := os.ReadFile("testdata/" + string(tt.provider.Name) + "/" + tt.answer + ".stream.sse")
			if err != nil {
				t.Fatal(err)
			}
			a, fault := tt.provider.DecodeAnswer(source)
			if fault != nil {
				t.Fatal(fault)
			}
			whole, fault := tt.client.EncodeAnswer(nil, a)
			if fault != nil {
				t.Fatal(fault)
			}
			folded := foldOf(t, tt.client.Name, cross(t, tt.provider, tt.client, stream))
			for _, answer := range [][]byte{whole, folded} {
				r, fault := tt.client.DecodeRequest([]byte(tt.request(t, answer)))
				if fault != nil {
					t.Fatal(fault)
				}
				body, _, fault := tt.provider.EncodeRequest(nil, r, dialect.Policy{})
				if fault != nil {
					t.Fatal(fault)
				}
				for _, signature := range tt.signatures {
					if !bytes.Contains(body, []byte(`"`+signature+`"`)) {
						t.Errorf("%s is not in %s, after %s", signature, body, answer)
					}
				}
				for _, other := range codecs {
					if other == tt.provider || other == tt.client {
						continue
					}
					body, _, fault := other.EncodeRequest(nil, r, dialect.Policy{})
					if fault != nil || strings.Contains(string(body), tt.signatures[0]) {
						t.Errorf("%s is sent %s, %v", other.Name, body, fault)
					}
				}
			}
		})
	}
}

// saidToOpenAI is a request that sends an answer back.
func saidToOpenAI(t *testing.T, answer []byte) string {
	var wire struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(answer, &wire); err != nil {
		t.Fatal(err)
	}
	return `{"model":"m","messages":[{"role":"user","content":"a"},` + string(wire.Choices[0].Message) + `]}`
}

func saidToGoogle(t *testing.T, answer []byte) string {
	var wire struct {
		Candidates []struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal(answer, &wire); err != nil {
		t.Fatal(err)
	}
	return `{"contents":[{"parts":[{"text":"a"}]},` + string(wire.Candidates[0].Content) + `]}`
}

func saidToResponses(t *testing.T, answer []byte) string {
	var wire struct{ Output []json.RawMessage }
	if err := json.Unmarshal(answer, &wire); err != nil {
		t.Fatal(err)
	}
	items := []string{`{"role":"user","content":"a"}`}
	for _, item := range wire.Output {
		items = append(items, string(item))
	}
	return `{"model":"m","input":[` + strings.Join(items, ",") + `]}`
}
