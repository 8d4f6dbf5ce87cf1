package gemini

import (
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds on what a provider can make a Fold hold.
const (
	maxCandidates = 16
	partSize      = 128 // bytes that a part counts for beside its text
)

var (
	errFoldLimit = errors.New("folding a stream: the answer is larger than is kept")
	errFoldError = errors.New("folding a stream: it holds an error")
)

// Fold makes one response of the events of a stream. It is used by one goroutine.
type Fold struct {
	limit, size int
	err         error
	top         dialect.Growing // without candidates
	candidates  []foldedCandidate
}

// foldedCandidate is a candidate in progress.
type foldedCandidate struct {
	index   string
	members dialect.Growing // without content
	content dialect.Growing // without parts
	parts   []foldedPart
}

// foldedPart is a part in progress.
type foldedPart struct {
	members dialect.Growing
	grows   bool // with what the next part adds to its text
	thought bool
}

// NewFold makes a Fold that holds about limit bytes at most.
func NewFold(limit int) *Fold { return &Fold{limit: limit} }

// Add adds the data of one event. The data may change afterwards. After an error, which can be the provider's own
// inside of the stream, there will be no answer.
func (f *Fold) Add(data []byte) error {
	if f.err == nil {
		f.err = f.add(data)
		if f.err == nil && f.size > f.limit {
			f.err = errFoldLimit
		}
		if f.err != nil {
			f.top, f.candidates = dialect.Growing{}, nil
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
	for name, value := range fields(data) {
		switch string(name) {
		case "error":
			return errFoldError
		case "candidates":
			for raw := range dialect.Elements(list(value)) {
				if err := f.candidate(raw); err != nil {
					return err
				}
			}
		default: // of what is told again, the last is for the whole answer
			f.size += f.top.Set(name, value)
		}
	}
	return nil
}

func (f *Fold) candidate(raw []byte) error {
	index := readCandidate(raw).index
	if index == "0" {
		index = ""
	}
	var c *foldedCandidate
	for i := range f.candidates {
		if f.candidates[i].index == index {
			c = &f.candidates[i]
		}
	}
	if c == nil {
		if len(f.candidates) == maxCandidates {
			return errFoldLimit
		}
		f.candidates = append(f.candidates, foldedCandidate{index: index})
		c = &f.candidates[len(f.candidates)-1]
		f.size += partSize
	}
	for name, value := range fields(raw) {
		if string(name) == "content" {
			f.content(c, value)
		} else {
			f.size += c.members.Set(name, value)
		}
	}
	return nil
}

func (f *Fold) content(c *foldedCandidate, content []byte) {
	for name, value := range fields(content) {
		if string(name) != "parts" {
			f.size += c.content.Set(name, value)
			continue
		}
		for raw := range dialect.Elements(list(value)) {
			f.part(c, raw)
		}
	}
}

// part adds to the last part where both are texts, or both are thoughts, and the last has no signature yet.
func (f *Fold) part(c *foldedCandidate, raw []byte) {
	p := readPart(raw)
	grows := p.plain()
	if grows && len(c.parts) > 0 {
		if last := &c.parts[len(c.parts)-1]; last.grows && last.thought == p.thought {
			f.size += last.members.Join([]byte("text"), p.text.Quote(nil))
			if len(p.signature) > 0 {
				f.size += last.members.Set([]byte("thoughtSignature"), p.signature.Quote(nil))
				last.grows = false
			}
			return
		}
	}
	if grows && len(p.text) == 0 && len(p.signature) == 0 {
		return // says nothing
	}
	c.parts = append(c.parts, foldedPart{grows: grows && len(p.signature) == 0, thought: p.thought})
	last := &c.parts[len(c.parts)-1]
	f.size += partSize
	for name, value := range fields(raw) {
		if grows && string(name) == "text" {
			f.size += last.members.Join(name, value)
		} else {
			f.size += last.members.Set(name, value)
		}
	}
}

// plain tells whether a part is a text or a thought and nothing else.
func (p *wirePart) plain() bool {
	for name, value := range dialect.Members(p.raw) {
		switch string(camel(name)) {
		case "text", "thoughtSignature":
			if value[0] != '"' {
				return false
			}
		case "thought":
			if !p.thought {
				return false
			}
		default:
			return false
		}
	}
	return p.text != nil
}

// Answer is the response that the events made; an error where it is not complete.
func (f *Fold) Answer() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	dst := f.top.AppendObject(make([]byte, 0, f.size+256))
	if len(f.candidates) > 0 {
		dst = append(dialect.Member(dst[:len(dst)-1], "candidates"), '[')
		for i := range f.candidates {
			dst = f.candidates[i].append(dialect.Element(dst))
		}
		dst = append(dst, "]}"...)
	}
	if err := Complete(dst); err != nil {
		return nil, fmt.Errorf("folding a stream: %w", err)
	}
	return dst, nil
}

func (c *foldedCandidate) append(dst []byte) []byte {
	dst = append(dst, `{"content":{"parts":[`...)
	for i := range c.parts {
		dst = c.parts[i].members.AppendObject(dialect.Element(dst))
	}
	dst = append(c.content.Append(append(dst, ']')), '}')
	return append(c.members.Append(dst), '}')
}
