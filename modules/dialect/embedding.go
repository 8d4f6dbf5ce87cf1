package dialect

// EmbeddingRequest asks for vectors of texts, in the neutral form. What it holds refers into the client's body.
type EmbeddingRequest struct {
	Model string
	Texts []Inside
	// Several says that the client asked with a list, and is answered with one.
	Several bool
	// Dimensions is how long vectors are to be; nil where the client leaves that to the model.
	Dimensions Raw
	// Packed says that the client wants vectors in base64: see Vector.
	Packed bool

	// Names is how the client's dialect calls the parameters, for errors; nil for the neutral names.
	Names *ParamNames
	// Unmet are the client's fields that mean something and that the neutral form has no place for.
	Unmet []string
}

// EmbeddingAnswer is one vector for each text. It refers into the provider's body.
type EmbeddingAnswer struct {
	Model    string
	Vectors  []Vector
	Usage    Usage
	HasUsage bool
}

// EmbeddingCodec translates embeddings between a dialect and the neutral form, on the same terms as a Codec.
type EmbeddingCodec struct {
	DecodeRequest func(body []byte) (*EmbeddingRequest, *Error)
	EncodeRequest func(dst []byte, r *EmbeddingRequest, p Policy) (body []byte, dropped []string, err *Error)
	DecodeAnswer  func(body []byte) (*EmbeddingAnswer, *Error)
	// EncodeAnswer appends an answer in the form that the request asked for.
	EncodeAnswer func(dst []byte, a *EmbeddingAnswer, r *EmbeddingRequest) ([]byte, *Error)
	// Complete tells why a whole answer is not fit to be kept and given to others; nil where it is.
	Complete func(answer []byte) error
}

// Gaps judges what cannot be expressed of a request: see Gaps.
func (r *EmbeddingRequest) Gaps(target Name, p Policy) *Gaps {
	return NewGaps(&Request{Names: r.Names, Unmet: r.Unmet}, target, p)
}
