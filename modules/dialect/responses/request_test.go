package responses

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestPeekReadsWhatConcernsTheGateway(t *testing.T) {
	for body, want := range map[string]Request{
		`{"model":"m","input":"a"}`:                                                     {Model: "m"},
		`{"model":"m","input":"a","stream":true,"max_output_tokens":20}`:                {Model: "m", Stream: true, MaxTokens: 20},
		`{"model":"m","input":[],"temperature":0,"max_output_tokens":1e300}`:            {Model: "m", MaxTokens: maxCap, Repeatable: true},
		`{"model":"m","input":"a","temperature":0.0,"store":false,"stream":null}`:       {Model: "m", Repeatable: true},
		`{"model":"m","input":"a","temperature":0,"store":true}`:                        {Model: "m"},
		`{"store":true,"temperature":0,"model":"m","input":"a"}`:                        {Model: "m"},
		`{"model":"m","conversation":"conv_1","temperature":0}`:                         {Model: "m"},
		`{"model":"m","previous_response_id":"resp_1","temperature":0}`:                 {Model: "m", Repeatable: true},
		`{"model":"m","prompt":{"id":"p"},"background":false,"max_output_tokens":null}`: {Model: "m"},
	} {
		if got, err := Peek([]byte(body)); err != nil || got != want {
			t.Errorf("%s is %+v, %v", body, got, err)
		}
	}
}

func TestPeekNamesWhatIsWrong(t *testing.T) {
	for body, field := range map[string]string{
		`{"input":"a"}`:                                      "model",
		`{"model":1,"input":"a"}`:                            "model",
		`{"model":"m"}`:                                      "input",
		`{"model":"m","input":null}`:                         "input",
		`{"model":"m","input":{}}`:                           "input",
		`{"model":"m","input":"a","stream":1}`:               "stream",
		`{"model":"m","input":"a","temperature":"0"}`:        "temperature",
		`{"model":"m","input":"a","max_output_tokens":"20"}`: "max_output_tokens",
		`{"model":"m","input":"a","background":true}`:        "background",
	} {
		if _, err := Peek([]byte(body)); err == nil || err.Field != field || err.Kind != dialect.InvalidRequest {
			t.Errorf("%s gives %v", body, err)
		}
	}
}

func TestTheEstimateIsOfAllThatModelsRead(t *testing.T) {
	text := strings.Repeat("word", 100)
	for _, member := range []string{`"instructions":"%"`, `"input":"%"`, `"tools":[{"description":"%"}]`, `"text":{"format":{"description":"%"}}`} {
		body := `{"model":"m",` + strings.Replace(member, "%", text, 1) + `}`
		if got := EstimateInput([]byte(body)); got < 100 || got > 110 {
			t.Errorf("%s is estimated at %d tokens", member, got)
		}
	}
	if got := EstimateInput([]byte(`{"metadata":{"a":"` + text + `"}}`)); got != 0 {
		t.Errorf("metadata is estimated at %d tokens", got)
	}
}

func BenchmarkPeek(b *testing.B) {
	body := []byte(`{"model":"m","input":[{"role":"user","content":"` + strings.Repeat("some words of a text, ", 200) + `"}],"temperature":0,"max_output_tokens":100,"stream":true}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(body); err != nil {
			b.Fatal(err)
		}
	}
}
