package dialect

import "time"

// Codec translates between a dialect and the neutral form. Translating from one dialect to another is decoding
// with the codec of the one and encoding with that of the other. A Codec is safe for concurrent use, the
// decoders and encoders of streams that it makes are not. That of a dialect which only clients speak has no
// EncodeRequest, DecodeAnswer and NewDecoder.
type Codec struct {
	Name Name

	// DecodeRequest reads a client's request. Check must have passed the body. The error says which field is
	// not as the dialect has it. Where the model and whether to stream are in the address, the caller sets them.
	DecodeRequest func(body []byte) (*Request, *Error)
	// EncodeRequest appends a request for a provider. dropped are the client's fields that were left out. Where
	// the model and whether to stream are for the address, the body has neither.
	EncodeRequest func(dst []byte, r *Request, p Policy) (body []byte, dropped []string, err *Error)

	// DecodeAnswer reads a provider's whole answer. The error says that it is none.
	DecodeAnswer func(body []byte) (*Answer, *Error)
	// EncodeAnswer appends an answer for a client.
	EncodeAnswer func(dst []byte, a *Answer) ([]byte, *Error)

	// NewDecoder and NewEncoder translate streams.
	NewDecoder func() StreamDecoder
	NewEncoder func(o StreamOptions) StreamEncoder

	// ParseError makes an error of a provider's answer that is none, as a client may see it.
	ParseError func(status int, header func(name string) string, body []byte) *Error
	// AppendError appends an error's body, AppendErrorEvent an event that ends a stream; Status is the HTTP status.
	AppendError      func(dst []byte, e *Error) []byte
	AppendErrorEvent func(dst []byte, e *Error) []byte
	Status           func(e *Error) int
	// KeepAlive is what a stream may hold wherever an event may begin, and clients pass over; nil where they know no such thing.
	KeepAlive []byte

	// Complete tells why a whole answer is not fit to be kept and given to others; nil where it is.
	Complete func(answer []byte) error
	// NewFold makes a Fold that holds about limit bytes at most.
	NewFold func(limit int) Fold
	// SetUsage gives an answer that tells no usage the given one.
	SetUsage func(answer []byte, u Usage) []byte
	// Replay gives a whole answer as the events of a stream, each with its blank line and valid until yield returns. It stops
	// without an error where yield returns false. An error says that the answer is not complete, and that there was no event.
	Replay func(answer []byte, o StreamOptions, yield func(event []byte) bool) error
	// Embeddings translates embeddings; nil where the dialect has none.
	Embeddings *EmbeddingCodec
	// ReadOutcome takes in a whole answer, or one event of a stream after another, in the provider's words.
	ReadOutcome func(o *Outcome, data []byte)
}

// Fold makes one answer of the events of a stream. It is used by one goroutine.
type Fold interface {
	// Add adds the data of one event. The data may change afterwards. After an error there will be no answer.
	Add(data []byte) error
	// Answer is what the events made; an error where it is not complete.
	Answer() ([]byte, error)
}

// Outcome is what an answer tells of itself beside its text.
type Outcome struct {
	// Model is the model that made it, by the provider's word.
	Model string
	// Reasons are why its choices ended, in the order of their indices.
	Reasons []string
}

// StreamDecoder reads the events of a provider's stream.
type StreamDecoder interface {
	// Decode reads the data of one event and gives what it tells. An error says that the data cannot be read and
	// that the decoder is as it was before, so that the caller may go on without it.
	Decode(data []byte, yield func(*Event)) error
	// End is called when the stream is over, and gives EventEnd, or EventError where the answer is not complete
	// and there was none.
	End(yield func(*Event))
}

// StreamEncoder writes the events of a client's stream.
type StreamEncoder interface {
	// Encode appends what an event is in the client's dialect, in wire form, which may be nothing.
	Encode(dst []byte, e *Event) []byte
}

// StreamOptions is what the encoder of a stream cannot know from the events.
type StreamOptions struct {
	// IncludeUsage says that the client asked for an event that tells the usage.
	IncludeUsage bool
	// Created is for a provider that does not tell when it answered.
	Created time.Time
	// Asked is the client's request, for dialects whose answers repeat parts of it; nil where unknown.
	Asked Raw
}
