package openai

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// embeddings translates calls of /v1/embeddings.
var embeddings = dialect.EmbeddingCodec{
	DecodeRequest: decodeEmbedding,
	EncodeRequest: encodeEmbedding,
	DecodeAnswer:  decodeVectors,
	EncodeAnswer:  encodeVectors,
	Complete:      CompleteEmbeddings,
}

// decodeEmbedding reads a request into the neutral form, which has texts: numbers of tokens are one model's own.
func decodeEmbedding(body []byte) (*dialect.EmbeddingRequest, *dialect.Error) {
	r := &dialect.EmbeddingRequest{Names: &names, Several: true}
	for name, value := range dialect.Members(body) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "model":
			if err := readText(&r.Model, "model", value); err != nil {
				return nil, err
			}
		case "input":
			if err := readInput(r, value); err != nil {
				return nil, err
			}
		case "dimensions":
			if _, ok := dialect.Raw(value).Number(); !ok {
				return nil, dialect.Mistyped("dimensions", "an integer")
			}
			r.Dimensions = value
		case "encoding_format":
			switch string(value) {
			case `"base64"`:
				r.Packed = true
			case `"float"`:
			default:
				return nil, dialect.Mistyped("encoding_format", "float or base64")
			}
		case "user": // of which no answer tells
		default:
			r.Unmet = append(r.Unmet, string(name))
		}
	}
	if len(r.Texts) == 0 {
		return nil, dialect.Missing("input", "there is nothing to embed")
	}
	return r, nil
}

func readInput(r *dialect.EmbeddingRequest, value []byte) *dialect.Error {
	if in := dialect.InsideOf(value); in != nil {
		r.Texts = []dialect.Inside{in}
		return nil
	}
	for element := range dialect.Elements(value) {
		in := dialect.InsideOf(element)
		if in == nil {
			return dialect.Mistyped("input", "a text or an array of texts for this model, whose provider takes no token ids")
		}
		r.Texts = append(r.Texts, in)
	}
	return nil
}

// encodeEmbedding appends a request for a provider, whose vectors are to be numbers.
func encodeEmbedding(dst []byte, r *dialect.EmbeddingRequest, p dialect.Policy) (body []byte, dropped []string, err *dialect.Error) {
	gaps := r.Gaps(dialect.OpenAI, p)
	dst = dialect.String(append(dst, `{"model":`...), r.Model)
	dst = append(dialect.Member(dst, "input"), '[')
	for _, text := range r.Texts {
		dst = text.Quote(dialect.Element(dst))
	}
	dst = append(dst, ']')
	if r.Dimensions != nil {
		dst = append(dialect.Member(dst, "dimensions"), r.Dimensions...)
	}
	dst = append(dst, `,"encoding_format":"float"}`...)
	if dropped, err = gaps.Result(); err != nil {
		return nil, nil, err
	}
	return dst, dropped, nil
}

// decodeVectors reads a provider's answer. Servers give the vectors in the order of the texts, whatever their indices say.
func decodeVectors(body []byte) (*dialect.EmbeddingAnswer, *dialect.Error) {
	if err := CompleteEmbeddings(body); err != nil {
		return nil, dialect.Unreadable(err)
	}
	a := &dialect.EmbeddingAnswer{}
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "model":
			a.Model, _ = dialect.Text(value)
		case "data":
			for item := range dialect.Elements(value) {
				a.Vectors = append(a.Vectors, vectorOf(item))
			}
		}
	}
	a.Usage, a.HasUsage = UsageOf(body)
	return a, nil
}

// encodeVectors appends an answer for a client.
func encodeVectors(dst []byte, a *dialect.EmbeddingAnswer, r *dialect.EmbeddingRequest) ([]byte, *dialect.Error) {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, v := range a.Vectors {
		dst = strconv.AppendInt(append(dialect.Element(dst), `{"object":"embedding","index":`...), int64(i), 10)
		var err error
		if dst, err = v.Append(dialect.Member(dst, "embedding"), r.Packed); err != nil {
			return nil, dialect.Unreadable(err)
		}
		dst = append(dst, '}')
	}
	dst = dialect.String(append(dst, `],"model":`...), a.Model)
	dst = strconv.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), a.Usage.InputTotal(), 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), a.Usage.Total(), 10)
	return append(dst, "}}"...), nil
}

// CompleteEmbeddings tells why an answer with embeddings is not fit to be kept; nil where it is.
func CompleteEmbeddings(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	embeddings := 0
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "error":
			if string(value) != "null" {
				return errors.New("the answer holds an error")
			}
		case "data":
			for item := range dialect.Elements(value) {
				if vectorOf(item) == nil {
					return fmt.Errorf("item %d has no embedding", embeddings)
				}
				embeddings++
			}
		}
	}
	if embeddings == 0 {
		return errors.New("the answer has no embedding")
	}
	return nil
}

// vectorOf finds an item's vector, as numbers or as base64; nil where there is none.
func vectorOf(item []byte) dialect.Vector {
	for name, value := range dialect.Members(item) {
		if string(name) == "embedding" && len(value) > 2 && (value[0] == '"' || value[0] == '[') {
			return value
		}
	}
	return nil
}
