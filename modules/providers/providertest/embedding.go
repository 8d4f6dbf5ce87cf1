package providertest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// embedsInBothEncodings asks for embeddings in OpenAI's shape, the only one in which the gateway offers them.
func embedsInBothEncodings(t *testing.T, s Setup) {
	if s.Embeddings == "" {
		return // the provider has none
	}
	floats := embeddings(t, s, "float", `["one river","two rivers"]`)
	packed := embeddings(t, s, "base64", `["one river","two rivers"]`)
	if len(floats) != 2 || len(floats[0]) == 0 {
		t.Fatalf("got %d vectors for 2 texts", len(floats))
	}
	for i := range floats {
		if !slices.Equal(floats[i], packed[i]) {
			t.Errorf("vector %d differs between the encodings", i)
		}
	}
	if single := embeddings(t, s, "float", `"one river"`); len(single) != 1 {
		t.Errorf("got %d vectors for one text", len(single))
	}
}

func embeddings(t *testing.T, s Setup, encoding, input string) [][]float32 {
	t.Helper()
	reply, err := s.Provider.Send(t.Context(), &gateway.Attempt{
		Operation: dialect.Embeddings,
		Model:     s.Embeddings,
		Body:      fmt.Appendf(nil, `{"model":%q,"input":%s,"encoding_format":%q}`, s.Embeddings, input, encoding),
	})
	if err != nil {
		t.Fatalf("embedding as %s: %v", encoding, err)
	}
	if !gjson.ValidBytes(reply.Body) {
		t.Fatalf("the answer is no JSON: %q", reply.Body)
	}
	body := gjson.ParseBytes(reply.Body)
	tokens := body.Get("usage.prompt_tokens").Int()
	if tokens == 0 {
		t.Errorf("the answer has no usage")
	}
	if err := sameUsage(reply.Usage, tokens, 0); err != nil {
		t.Error(err)
	}
	var vectors [][]float32
	for i, item := range body.Get("data").Array() {
		if item.Get("index").Int() != int64(i) {
			t.Errorf("vector %d says that it is number %s", i, item.Get("index").Raw)
		}
		vectors = append(vectors, vector(t, item.Get("embedding")))
	}
	return vectors
}

// vector reads numbers, or little-endian float32 values in base64.
func vector(t *testing.T, v gjson.Result) []float32 {
	t.Helper()
	var numbers []float32
	if v.Type != gjson.String {
		for _, x := range v.Array() {
			numbers = append(numbers, float32(x.Num))
		}
		return numbers
	}
	raw, err := base64.StdEncoding.DecodeString(v.Str)
	if err != nil || len(raw)%4 != 0 {
		t.Fatalf("the vector is no base64 of float32 values: %v", err)
	}
	for b := range slices.Chunk(raw, 4) {
		numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return numbers
}
