package demo

import (
	"math"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func embedding(t *testing.T, fields string) (*gateway.Reply, error) {
	t.Helper()
	return provision(t, new(Provider)).Send(t.Context(), &gateway.Attempt{
		Operation: dialect.Embeddings, Model: embeddingModel, Body: []byte("{" + fields + "}"),
	})
}

func TestEmbeddingsAreUnitVectorsOfTheirText(t *testing.T) {
	for _, tt := range []struct {
		fields            string
		count, dimensions int
		tokens            int64
	}{
		{`"input":"one two"`, 1, 256, 2},
		{`"input":["one","two","one"]`, 3, 256, 3},
		{`"input":[101,102,103]`, 1, 256, 3},
		{`"input":[[101,102],[103]],"dimensions":8`, 2, 8, 3},
		{`"input":"x","dimensions":1`, 1, 1, 1},
		{`"input":"x","dimensions":3072,"encoding_format":"float"`, 1, 3072, 1},
	} {
		reply, err := embedding(t, tt.fields)
		if err != nil {
			t.Errorf("%s: %v", tt.fields, err)
			continue
		}
		if reply.Usage != (dialect.Usage{Input: tt.tokens}) {
			t.Errorf("%s: usage is %+v, want %d tokens", tt.fields, reply.Usage, tt.tokens)
		}
		vectors := gjson.GetBytes(reply.Body, "data.#.embedding").Array()
		if len(vectors) != tt.count {
			t.Errorf("%s: got %d vectors, want %d", tt.fields, len(vectors), tt.count)
		}
		for _, v := range vectors {
			var sum float64
			for _, x := range v.Array() {
				sum += x.Num * x.Num
			}
			if n := len(v.Array()); n != tt.dimensions || math.Abs(sum-1) > 1e-5 {
				t.Errorf("%s: got %d dimensions and length %g, want %d and 1", tt.fields, n, math.Sqrt(sum), tt.dimensions)
			}
		}
	}
}

func TestEqualTextsHaveEqualVectors(t *testing.T) {
	reply, err := embedding(t, `"input":["one","two","one"],"encoding_format":"base64"`)
	if err != nil {
		t.Fatal(err)
	}
	v := gjson.GetBytes(reply.Body, "data.#.embedding").Array()
	if v[0].Str != v[2].Str || v[0].Str == v[1].Str {
		t.Error("vectors do not tell texts apart")
	}
}

func TestImpossibleEmbeddingsNameTheField(t *testing.T) {
	for _, tt := range []struct{ fields, field string }{
		{``, "input"},
		{`"input":""`, "input"},
		{`"input":[]`, "input"},
		{`"input":7`, "input"},
		{`"input":["x",""]`, "input[1]"},
		{`"input":["x",{}]`, "input[1]"},
		{`"input":[1,"x"]`, "input"},
		{`"input":[1.5]`, "input"},
		{`"input":[[]]`, "input[0]"},
		{`"input":"x","dimensions":0`, "dimensions"},
		{`"input":"x","dimensions":3073`, "dimensions"},
		{`"input":"x","encoding_format":"hex"`, "encoding_format"},
	} {
		_, err := embedding(t, tt.fields)
		if kind, field := kindOf(t, err); kind != dialect.InvalidRequest || field != tt.field {
			t.Errorf("%s: got %s at %q, want %q", tt.fields, kind, field, tt.field)
		}
	}
}

func TestFailuresSpoilEmbeddingsToo(t *testing.T) {
	attempt := &gateway.Attempt{Operation: dialect.Embeddings, Model: embeddingModel, Body: []byte(`{"input":"x"}`)}
	cut := provision(t, &Provider{Failures: []Failure{{Kind: "disconnect"}}})
	if _, err := cut.Send(t.Context(), attempt); err == nil {
		t.Error("a cut connection gave an answer")
	}
	broken := provision(t, &Provider{Failures: []Failure{{Kind: "malformed"}}})
	if reply, err := broken.Send(t.Context(), attempt); err != nil || gjson.ValidBytes(reply.Body) {
		t.Errorf("a malformed answer is %v, %v", reply, err)
	}
}
