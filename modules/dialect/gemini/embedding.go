package gemini

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// embeddings translates calls of embedContent and batchEmbedContents, which are told apart by what is in them.
var embeddings = dialect.EmbeddingCodec{
	DecodeRequest: decodeEmbedding,
	EncodeRequest: encodeEmbedding,
	DecodeAnswer:  decodeVectors,
	EncodeAnswer:  encodeVectors,
	Complete:      completeEmbeddings,
}

// decodeEmbedding reads a request of either method into the neutral form.
func decodeEmbedding(body []byte) (*dialect.EmbeddingRequest, *dialect.Error) {
	r := &dialect.EmbeddingRequest{Names: &names}
	for name, value := range fields(body) {
		if string(name) != "requests" {
			continue
		}
		r.Several = true
		n := 0
		for raw := range dialect.Elements(list(value)) {
			if err := decodeContent(r, dialect.Place{Root: "requests", Turn: n}, raw); err != nil {
				return nil, err
			}
			n++
		}
		if n == 0 {
			return nil, dialect.Missing("requests", "there is nothing to embed")
		}
		return r, nil
	}
	if err := decodeContent(r, dialect.Place{}, body); err != nil {
		return nil, err
	}
	return r, nil
}

// decodeContent reads what is to become one vector. The texts of its parts are one text.
func decodeContent(r *dialect.EmbeddingRequest, place dialect.Place, body []byte) *dialect.Error {
	member := func(name string) string {
		if place.Root == "" {
			return name
		}
		return place.Member(name)
	}
	var text, dimensions []byte
	for name, value := range fields(body) {
		switch string(name) {
		case "model":
		case "content":
			in, ok := textOf(value)
			if !ok {
				return dialect.Mistyped(member("content"), "a content whose parts are texts, for this model")
			}
			text = in
		case "outputDimensionality":
			if _, ok := dialect.Raw(value).Number(); !ok {
				return dialect.Mistyped(member("outputDimensionality"), "an integer")
			}
			dimensions = value
		default:
			r.Unmet = append(r.Unmet, member(string(name)))
		}
	}
	if text == nil {
		return dialect.Missing(member("content"), "there is nothing to embed")
	}
	if len(r.Texts) > 0 && string(dimensions) != string(r.Dimensions) {
		return dialect.Mistyped(member("outputDimensionality"), "the same in all requests, for this model")
	}
	r.Texts, r.Dimensions = append(r.Texts, text), dimensions
	return nil
}

// textOf gives the text of a content; false where it holds something else, or nothing.
func textOf(content []byte) (dialect.Inside, bool) {
	if in := dialect.InsideOf(content); in != nil {
		return in, true
	}
	var text dialect.Inside
	own := false // the text is ours, not a piece of the body
	for name, value := range fields(content) {
		if string(name) != "parts" {
			continue
		}
		for raw := range dialect.Elements(list(value)) {
			p := readPart(raw)
			switch {
			case p.text == nil:
				return nil, false
			case text == nil:
				text = p.text
			case own:
				text = append(text, p.text...)
			default:
				text, own = slices.Concat(text, p.text), true
			}
		}
	}
	return text, text != nil
}

// encodeEmbedding appends a request for a provider: of embedContent for a single text, else of batchEmbedContents.
func encodeEmbedding(dst []byte, r *dialect.EmbeddingRequest, p dialect.Policy) (body []byte, dropped []string, err *dialect.Error) {
	gaps := r.Gaps(dialect.Gemini, p)
	if len(r.Texts) == 1 {
		dst = appendContent(dst, r.Texts[0], r.Dimensions)
	} else {
		dst = append(dst, `{"requests":[`...)
		for _, text := range r.Texts {
			dst = appendContent(dialect.Element(dst), text, r.Dimensions)
		}
		dst = append(dst, "]}"...)
	}
	if dropped, err = gaps.Result(); err != nil {
		return nil, nil, err
	}
	return dst, dropped, nil
}

func appendContent(dst []byte, text dialect.Inside, dimensions dialect.Raw) []byte {
	dst = append(text.Quote(append(dst, `{"content":{"parts":[{"text":`...)), "}]}"...)
	if dimensions != nil {
		dst = append(dialect.Member(dst, "outputDimensionality"), dimensions...)
	}
	return append(dst, '}')
}

// decodeVectors reads a provider's answer to either method.
func decodeVectors(body []byte) (*dialect.EmbeddingAnswer, *dialect.Error) {
	if err := completeEmbeddings(body); err != nil {
		return nil, dialect.Unreadable(err)
	}
	a := &dialect.EmbeddingAnswer{}
	for raw := range embeddingsIn(body) {
		a.Vectors = append(a.Vectors, vectorOf(raw))
	}
	a.Usage, a.HasUsage = UsageOf(body)
	return a, nil
}

// encodeVectors appends an answer to the method that the client used.
func encodeVectors(dst []byte, a *dialect.EmbeddingAnswer, r *dialect.EmbeddingRequest) ([]byte, *dialect.Error) {
	member := `{"embedding":`
	if r.Several {
		member = `{"embeddings":[`
	}
	dst = append(dst, member...)
	for i, v := range a.Vectors {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = v.Append(append(dst, `{"values":`...), false); err != nil {
			return nil, dialect.Unreadable(err)
		}
		dst = append(dst, '}')
	}
	if r.Several {
		dst = append(dst, ']')
	}
	if a.HasUsage {
		dst = dialect.IntMember(append(dst, `,"usageMetadata":{`...), "promptTokenCount", a.Usage.InputTotal())
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// embeddingsIn gives the embeddings of an answer, be it one or a list.
func embeddingsIn(answer []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for name, value := range fields(answer) {
			if string(name) != "embedding" && string(name) != "embeddings" {
				continue
			}
			for raw := range dialect.Elements(list(value)) {
				if !yield(raw) {
					return
				}
			}
		}
	}
}

// vectorOf finds the numbers of an embedding; nil where there are none.
func vectorOf(embedding []byte) dialect.Vector {
	for name, value := range fields(embedding) {
		if string(name) == "values" && value[0] == '[' && len(value) > 2 {
			return value
		}
	}
	return nil
}

// completeEmbeddings tells why an answer with embeddings is not fit to be kept; nil where it is.
func completeEmbeddings(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if readResponse(answer).err != nil {
		return errors.New("the answer holds an error")
	}
	n := 0
	for raw := range embeddingsIn(answer) {
		if vectorOf(raw) == nil {
			return fmt.Errorf("embedding %d has no values", n)
		}
		n++
	}
	if n == 0 {
		return errors.New("the answer has no embedding")
	}
	return nil
}
