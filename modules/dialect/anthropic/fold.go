package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds on what a provider can make a Fold hold.
const (
	maxBlockIndex = 1024
	blockSize     = 128 // bytes that a block counts for beside its text
)

var (
	errFoldLimit = errors.New("folding a stream: the answer is larger than is kept")
	errFoldError = errors.New("folding a stream: it holds an error")
	errFoldIndex = errors.New("folding a stream: a block's index is out of order")
)

// Fold makes one message of the events of a stream. It is used by one goroutine.
type Fold struct {
	limit, size int
	err         error
	started     bool
	stopped     bool
	top         dialect.Growing // without content and usage
	usage       dialect.Growing
	blocks      []foldedBlock
}

// foldedBlock is one content block in progress.
type foldedBlock struct {
	members dialect.Growing
	input   []byte // of a tool, the inside of the string that its fragments make
}

// NewFold makes a Fold that holds about limit bytes at most.
func NewFold(limit int) *Fold { return &Fold{limit: limit} }

// Add adds the data of one event. The data may change afterwards. After an error, which can be the provider's
// own inside of the stream, there will be no answer.
func (f *Fold) Add(data []byte) error {
	if f.err == nil {
		f.err = f.add(data)
		if f.err == nil && f.size > f.limit {
			f.err = errFoldLimit
		}
		if f.err != nil {
			f.top, f.usage, f.blocks = dialect.Growing{}, dialect.Growing{}, nil
		}
	}
	return f.err
}

func (f *Fold) add(data []byte) error {
	if len(data) > f.limit {
		return errFoldLimit
	}
	if err := dialect.Check(data); err != nil {
		return fmt.Errorf("folding a stream: %w", err)
	}
	e := readEvent(data)
	switch string(e.kind) {
	case "error":
		return errFoldError
	case "message_start":
		f.started = true
		f.message(e.message)
	case "message_delta":
		for name, value := range dialect.Members(e.delta) {
			f.size += f.top.Set(name, value)
		}
		f.addUsage(e.usage)
	case "message_stop":
		f.stopped = true
	case "content_block_start":
		if e.index != len(f.blocks) || e.index >= maxBlockIndex {
			return errFoldIndex
		}
		f.blocks = append(f.blocks, foldedBlock{})
		f.size += blockSize
		for name, value := range dialect.Members(e.block) {
			f.size += f.blocks[e.index].members.Set(name, value)
		}
	case "content_block_delta":
		if e.index < 0 || e.index >= len(f.blocks) {
			return errFoldIndex
		}
		f.delta(&f.blocks[e.index], e.delta)
	}
	return nil
}

func (f *Fold) message(message []byte) {
	for name, value := range dialect.Members(message) {
		switch string(name) {
		case "content":
		case "usage":
			f.addUsage(value)
		default:
			f.size += f.top.Set(name, value)
		}
	}
}

// addUsage lets counts that are told again replace the former: they are for the whole message so far.
func (f *Fold) addUsage(usage []byte) {
	for name, value := range dialect.Members(usage) {
		f.size += f.usage.Set(name, value)
	}
}

func (f *Fold) delta(b *foldedBlock, delta []byte) {
	for name, value := range dialect.Members(delta) {
		switch string(name) {
		case "type":
		case "partial_json":
			in := dialect.InsideOf(value)
			b.input = append(b.input, in...)
			f.size += len(in)
		case "citation":
			f.size += b.members.Push([]byte("citations"), value)
		default: // text, thinking, signature
			f.size += b.members.Join(name, value)
		}
	}
}

// Answer is the message that the events made; an error where it is not complete.
func (f *Fold) Answer() ([]byte, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case !f.started || !f.stopped:
		return nil, errors.New("folding a stream: it did not come to its end")
	}
	dst := f.top.AppendObject(make([]byte, 0, f.size+256))
	dst = append(dst[:len(dst)-1], `,"content":[`...)
	for i := range f.blocks {
		var err error
		if dst, err = f.blocks[i].append(dialect.Element(dst)); err != nil {
			return nil, fmt.Errorf("folding a stream: block %d: %w", i, err)
		}
	}
	dst = f.usage.AppendObject(append(dst, `],"usage":`...))
	dst = append(dst, '}')
	if err := Complete(dst); err != nil {
		return nil, fmt.Errorf("folding a stream: %w", err)
	}
	return dst, nil
}

func (b *foldedBlock) append(dst []byte) ([]byte, error) {
	if len(b.input) > 0 {
		input := dialect.Inside(b.input).Unescape(nil)
		if !json.Valid(input) {
			return nil, errors.New("a tool's input is not valid JSON")
		}
		b.members.Set([]byte("input"), input)
	}
	return b.members.AppendObject(dst), nil
}
