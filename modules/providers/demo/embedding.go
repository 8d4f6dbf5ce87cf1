package demo

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Bounds of an embeddings request: as many inputs and dimensions as OpenAI takes.
const (
	maxInputs         = 2048
	maxDimensions     = 3072
	defaultDimensions = 256
)

// passage is one text to embed, known by its hash.
type passage struct {
	hash   uint64
	tokens int64
}

// embed answers an embeddings request. Equal texts get equal vectors; similar texts are not near each other.
func embed(ctx context.Context, body []byte, failure failureKind) (*gateway.Reply, error) {
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return nil, invalid("", "the body must be a JSON object")
	}
	passages, err := readInput(root.Get("input"))
	if err != nil {
		return nil, err
	}
	dimensions := defaultDimensions
	if d := root.Get("dimensions"); given(d) {
		if !isCount(d) || d.Num > maxDimensions {
			return nil, invalid("dimensions", "dimensions must be a whole number from 1 to %d", maxDimensions)
		}
		dimensions = int(d.Num)
	}
	encode := appendFloats
	if f := root.Get("encoding_format"); given(f) {
		switch f.Str {
		case "float":
		case "base64":
			encode = appendBase64
		default:
			return nil, invalid("encoding_format", "encoding_format must be float or base64")
		}
	}

	var usage dialect.Usage
	vector := make([]float32, dimensions)
	dst := append([]byte(nil), `{"object":"list","data":[`...)
	for i, p := range passages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		usage.Input += p.tokens
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		fillUnit(vector, p.hash)
		dst = encode(dst, vector)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"model":"`+embeddingModel+`","usage":{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, usage.Input, 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, usage.Input, 10)
	dst = append(dst, `}}`...)
	return wholeReply(dst, usage, failure)
}

// readInput reads a text, several, the token numbers of a text, or those of several.
func readInput(input gjson.Result) ([]passage, error) {
	if input.Type == gjson.String {
		p, err := readPassage(input, "input")
		return []passage{p}, err
	}
	if !input.IsArray() {
		return nil, invalid("input", "input must be a string, an array of strings, or token arrays")
	}
	items := input.Array()
	if len(items) == 0 || len(items) > maxInputs {
		return nil, invalid("input", "input must hold 1 to %d texts", maxInputs)
	}
	if items[0].Type == gjson.Number {
		p, err := readPassage(input, "input")
		return []passage{p}, err
	}
	passages := make([]passage, len(items))
	for i, item := range items {
		var err error
		if passages[i], err = readPassage(item, fmt.Sprintf("input[%d]", i)); err != nil {
			return nil, err
		}
	}
	return passages, nil
}

func readPassage(v gjson.Result, field string) (passage, error) {
	if v.Type == gjson.String {
		if v.Str == "" {
			return passage{}, invalid(field, "a text to embed must not be empty")
		}
		return passage{xxhash.Sum64String(v.Str), countTokens(v.Str)}, nil
	}
	if !v.IsArray() {
		return passage{}, invalid(field, "input must be a string, an array of strings, or token arrays")
	}
	var numbers []byte
	for _, n := range v.Array() {
		if n.Type != gjson.Number || n.Num < 0 || n.Num != math.Trunc(n.Num) || n.Num > math.MaxUint32 {
			return passage{}, invalid(field, "a token array must hold whole numbers")
		}
		numbers = binary.LittleEndian.AppendUint32(numbers, uint32(n.Num))
	}
	if len(numbers) == 0 {
		return passage{}, invalid(field, "a token array must not be empty")
	}
	return passage{xxhash.Sum64(numbers), int64(len(numbers) / 4)}, nil
}

// fillUnit makes a vector of length one out of a hash.
func fillUnit(vector []float32, hash uint64) {
	var sum float64
	for i := range vector {
		hash = mix(hash)
		// The upper 24 bits, which a float32 holds exactly, as a number from -1 up to 1, and never zero.
		x := float64(hash>>40)/(1<<23) - 1 + 1.0/(1<<24)
		vector[i] = float32(x)
		sum += x * x
	}
	scale := 1 / math.Sqrt(sum)
	for i, x := range vector {
		vector[i] = float32(float64(x) * scale)
	}
}

func appendFloats(dst []byte, vector []float32) []byte {
	dst = append(dst, '[')
	for i, x := range vector {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	}
	return append(dst, ']')
}

// appendBase64 writes the vector as little-endian float32 values in base64.
func appendBase64(dst []byte, vector []float32) []byte {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, raw)
	return append(dst, '"')
}
