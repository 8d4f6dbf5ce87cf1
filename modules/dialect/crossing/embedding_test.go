package crossing

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

const (
	onePacked = `"AACAPwAAAEA="` // 1 and 2
	twoPacked = `"AABAQAAAgEA="` // 3 and 4
)

func TestEmbeddingsCross(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to          *dialect.Codec
		asks, asked       string
		answers, answered string
	}{
		"one text for Google": {
			&openai.Codec, &gemini.Codec,
			`{"model":"alias","input":"a\u00fcb","dimensions":2,"user":"u","encoding_format":null}`,
			`{"content":{"parts":[{"text":"a\u00fcb"}]},"outputDimensionality":2}`,
			`{"embedding":{"values":[1,2.50]},"usageMetadata":{"promptTokenCount":3}}`,
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,2.50]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}`,
		},
		"two texts for Google, packed": {
			&openai.Codec, &gemini.Codec,
			`{"model":"alias","input":["a","b"],"encoding_format":"base64"}`,
			`{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}`,
			`{"embeddings":[{"values":[1,2]},{"values":[3,4]}]}`,
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":` + onePacked + `},{"object":"embedding","index":1,"embedding":` + twoPacked + `}],"model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}`,
		},
		"one content for OpenAI": {
			&gemini.Codec, &openai.Codec,
			`{"model":"models/alias","content":{"parts":[{"text":"a"},{"text":"b"}]},"output_dimensionality":2}`,
			`{"model":"m","input":["ab"],"dimensions":2,"encoding_format":"float"}`,
			`{"data":[{"index":0,"embedding":[1,2]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}`,
			`{"embedding":{"values":[1,2]},"usageMetadata":{"promptTokenCount":3}}`,
		},
		"a list of one for OpenAI, which packs": {
			&gemini.Codec, &openai.Codec,
			`{"requests":[{"model":"models/alias","content":{"parts":[{"text":"a"}]}}]}`,
			`{"model":"m","input":["a"],"encoding_format":"float"}`,
			`{"data":[{"index":0,"embedding":` + onePacked + `}],"model":"m"}`,
			`{"embeddings":[{"values":[1,2]}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			request, fault := tt.from.Embeddings.DecodeRequest([]byte(tt.asks))
			if fault != nil {
				t.Fatal(fault)
			}
			request.Model = "m"
			asked, dropped, fault := tt.to.Embeddings.EncodeRequest(nil, request, dialect.Policy{})
			if fault != nil || string(asked) != tt.asked || len(dropped) > 0 {
				t.Errorf("%s, %v, left out %v, want %s", asked, fault, dropped, tt.asked)
			}
			answer, fault := tt.to.Embeddings.DecodeAnswer([]byte(tt.answers))
			if fault != nil {
				t.Fatal(fault)
			}
			answer.Model = "m"
			answered, fault := tt.from.Embeddings.EncodeAnswer(nil, answer, request)
			if fault != nil || string(answered) != tt.answered {
				t.Errorf("%s, %v, want %s", answered, fault, tt.answered)
			}
			if err := tt.from.Embeddings.Complete(answered); err != nil {
				t.Error(err)
			}
		})
	}
	if anthropic.Codec.Embeddings != nil {
		t.Error("Anthropic has embeddings")
	}
}

func TestEmbeddingsThatCannotCross(t *testing.T) {
	for _, tt := range []struct {
		from        *dialect.Codec
		body, field string
		unmet       bool // it can be read, and may be left out
	}{
		{&openai.Codec, `{"model":"m"}`, "input", false},
		{&openai.Codec, `{"input":[]}`, "input", false},
		{&openai.Codec, `{"input":[1,2]}`, "input", false},
		{&openai.Codec, `{"input":["a",[1]]}`, "input", false},
		{&openai.Codec, `{"input":"a","dimensions":"2"}`, "dimensions", false},
		{&openai.Codec, `{"input":"a","encoding_format":"hex"}`, "encoding_format", false},
		{&openai.Codec, `{"input":"a","truncate":true}`, "truncate", true},
		{&gemini.Codec, `{}`, "content", false},
		{&gemini.Codec, `{"content":{"parts":[]}}`, "content", false},
		{&gemini.Codec, `{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}`, "content", false},
		{&gemini.Codec, `{"requests":[]}`, "requests", false},
		{&gemini.Codec, `{"requests":[{"content":"a"},{}]}`, "requests.1.content", false},
		{&gemini.Codec, `{"requests":[{"content":"a","outputDimensionality":2},{"content":"b"}]}`, "requests.1.outputDimensionality", false},
		{&gemini.Codec, `{"content":"a","taskType":"RETRIEVAL_QUERY"}`, "taskType", true},
		{&gemini.Codec, `{"requests":[{"content":"a","title":"b"}]}`, "requests.0.title", true},
	} {
		request, fault := tt.from.Embeddings.DecodeRequest([]byte(tt.body))
		if fault == nil {
			for _, to := range []*dialect.Codec{&openai.Codec, &gemini.Codec} {
				if _, _, fault = to.Embeddings.EncodeRequest(nil, request, dialect.Policy{}); fault == nil {
					t.Errorf("%s goes to %s", tt.body, to.Name)
				}
				if _, dropped, err := to.Embeddings.EncodeRequest(nil, request, dialect.Policy{Drop: true}); err != nil || !tt.unmet || len(dropped) != 1 || dropped[0] != tt.field {
					t.Errorf("%s leaves out %v, %v", tt.body, dropped, err)
				}
			}
		}
		if fault == nil || fault.Field != tt.field || fault.Kind != dialect.InvalidRequest {
			t.Errorf("%s: %v, want one of %s", tt.body, fault, tt.field)
		}
	}
	for name, bodies := range map[*dialect.Codec][]string{
		&openai.Codec: {`{`, `{"error":{}}`, `{"data":[]}`, `{"data":[{"embedding":[]}]}`},
		&gemini.Codec: {`{`, `{"error":{}}`, `{"embeddings":[]}`, `{"embedding":{}}`, `{"embedding":{"values":[]}}`},
	} {
		for _, body := range bodies {
			if a, fault := name.Embeddings.DecodeAnswer([]byte(body)); fault == nil {
				t.Errorf("%s: %s is read as %+v", name.Name, body, a)
			}
		}
	}
}

// FuzzEmbeddingsThatCrossAreJSON: whatever a client asks for is refused or becomes a request that says as many texts.
func FuzzEmbeddingsThatCrossAreJSON(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","input":["a\ud83d","\ude00"],"dimensions":2}`, `{"input":"a"}`, `{"content":{"parts":[{"text":"\\"},{"text":"n"}]}}`,
		`{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":"b"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if dialect.Check(body) != nil {
			return
		}
		for from, to := range map[*dialect.Codec]*dialect.Codec{&openai.Codec: &gemini.Codec, &gemini.Codec: &openai.Codec} {
			request, fault := from.Embeddings.DecodeRequest(body)
			if fault != nil {
				continue
			}
			asked, _, fault := to.Embeddings.EncodeRequest(nil, request, dialect.Policy{Drop: true})
			if fault != nil {
				t.Fatalf("%s: %v", body, fault)
			}
			if !gjson.ValidBytes(asked) {
				t.Fatalf("%s becomes %s", body, asked)
			}
			again, fault := to.Embeddings.DecodeRequest(asked)
			if fault != nil || len(again.Texts) != len(request.Texts) || again.Texts[0].String() != request.Texts[0].String() {
				t.Fatalf("%s becomes %s, which is read as %+v, %v", body, asked, again, fault)
			}
		}
	})
}
