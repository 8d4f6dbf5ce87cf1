package demo

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

var errClosed = errors.New("the stream was closed before its end")

const (
	dataField = "data: "
	blankLine = "\n\n"
)

// stage is what the next event of a stream holds.
type stage int

const (
	stageRole stage = iota
	stageText
	stageFinish
	stageUsage
	stageDone
	stageOver
)

// stream sends a completion as chat.completion.chunk events, one choice after the other.
type stream struct {
	ctx     context.Context
	pace    time.Duration
	closed  chan struct{}
	close   sync.Once
	failure failureKind

	comp *completion
	next stage
	// choice and pos are where the text to be sent next begins.
	choice, pos int
	begun       bool
	err         error

	buf    []byte // the current event
	head   int    // how much of buf is the same in every event
	ending string // closes every event's object
	usage  bool   // the client wants the usage as an event
}

func newStream(ctx context.Context, comp *completion, pace time.Duration, usage bool, failure failureKind) *stream {
	s := &stream{
		ctx: ctx, pace: pace, closed: make(chan struct{}), failure: failure,
		comp: comp, usage: usage, ending: "]}" + blankLine,
	}
	if usage {
		s.ending = `],"usage":null}` + blankLine
	}
	s.buf = append(make([]byte, 0, 512), dataField+"{"...)
	s.buf = comp.appendIdentity(s.buf, "chat.completion.chunk")
	s.buf = append(s.buf, `,"choices":[`...)
	s.head = len(s.buf)
	return s
}

// Next makes the next event, after the pace's wait.
func (s *stream) Next() bool {
	if s.err != nil || s.next == stageOver {
		return false
	}
	if err := s.wait(); err != nil {
		s.err = interruption(err)
		return false
	}
	switch s.next {
	case stageRole:
		s.role()
	case stageText:
		return s.text()
	case stageFinish:
		s.finish()
	case stageUsage:
		s.buf = append(s.buf[:s.head], `],"usage":`...)
		s.buf = s.comp.appendUsage(s.buf)
		s.buf = append(s.buf, "}"+blankLine...)
		s.next = stageDone
	case stageDone:
		s.buf = append(s.buf[:0], dataField+"[DONE]"+blankLine...)
		s.next = stageOver
	}
	return true
}

// wait keeps the pace. The first event is not waited for: its delay is over when the stream begins.
func (s *stream) wait() error {
	select {
	case <-s.closed:
		return errClosed
	default:
	}
	if !s.begun {
		s.begun = true
		return s.ctx.Err()
	}
	return pause(s.ctx, s.closed, s.pace)
}

// interruption is what the end of the caller's patience means to a stream's reader.
func interruption(cause error) *dialect.Error {
	kind := dialect.UpstreamFailed
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = dialect.Timeout
	}
	return &dialect.Error{Kind: kind, Message: "the answer was broken off", Cause: cause}
}

// role begins a choice.
func (s *stream) role() {
	s.begin()
	if s.current().tool == "" {
		s.buf = append(s.buf, `"role":"assistant","content":"","refusal":null`...)
	} else {
		s.buf = append(s.buf, `"role":"assistant","content":null,"refusal":null,"tool_calls":[{"index":0,`...)
		s.buf = s.comp.appendCall(s.buf, s.choice, "")
		s.buf = append(s.buf, `}]`...)
	}
	s.end("")
	s.next, s.pos = stageText, 0
	if s.current().text == "" && !s.spoilt() {
		s.next = stageFinish
	}
}

// text sends the next piece of a choice, or fails where the stream is to.
func (s *stream) text() bool {
	choice := s.current()
	if s.spoilt() && s.pos >= len(choice.text)/2 {
		if s.failure == malformed {
			s.failure = disconnect // nothing can follow
			s.buf = append(s.buf[:s.head-len(`,"choices":[`)], blankLine...)
			return true
		}
		s.err = disconnectError(false)
		return false
	}
	end := s.pos + pieceEnd(choice.text[s.pos:])
	piece := choice.text[s.pos:end]
	s.begin()
	if choice.tool == "" {
		s.buf = append(s.buf, `"content":`...)
		s.buf = dialect.String(s.buf, piece)
	} else {
		s.buf = append(s.buf, `"tool_calls":[{"index":0,"function":{"arguments":`...)
		s.buf = dialect.String(s.buf, piece)
		s.buf = append(s.buf, `}}]`...)
	}
	s.end("")
	if s.pos = end; end == len(choice.text) && !s.spoilt() {
		s.next = stageFinish
	}
	return true
}

// finish ends a choice.
func (s *stream) finish() {
	s.begin()
	s.end(s.current().finish)
	switch s.choice++; {
	case s.choice < len(s.comp.choices):
		s.next = stageRole
	case s.usage:
		s.next = stageUsage
	default:
		s.next = stageDone
	}
}

// spoilt tells whether the stream is to fail; it does so in the middle of its first choice.
func (s *stream) spoilt() bool { return s.failure == disconnect || s.failure == malformed }

func (s *stream) current() *choice { return &s.comp.choices[s.choice] }

// begin opens an event about the current choice, up to the inside of its delta.
func (s *stream) begin() {
	s.buf = append(s.buf[:s.head], `{"index":`...)
	s.buf = strconv.AppendInt(s.buf, int64(s.choice), 10)
	s.buf = append(s.buf, `,"delta":{`...)
}

// end closes what begin opened.
func (s *stream) end(finish string) {
	s.buf = append(s.buf, `},"logprobs":null,"finish_reason":`...)
	if finish == "" {
		s.buf = append(s.buf, "null}"...)
	} else {
		s.buf = append(s.buf, '"')
		s.buf = append(s.buf, finish...)
		s.buf = append(s.buf, `"}`...)
	}
	s.buf = append(s.buf, s.ending...)
}

func (s *stream) Event() []byte { return s.buf }

func (s *stream) Data() []byte { return s.buf[len(dataField) : len(s.buf)-len(blankLine)] }

// Last is true of [DONE].
func (s *stream) Last() bool { return s.next == stageOver }

// Usage counts what was sent, also where the stream broke off.
func (s *stream) Usage() dialect.Usage {
	usage := dialect.Usage{Input: s.comp.input}
	for i := range s.choice {
		usage.Output += s.comp.choices[i].tokens
	}
	if s.choice < len(s.comp.choices) && s.next == stageText {
		choice := s.current()
		usage.Output += countTokens(choice.tool) + countTokens(choice.text[:s.pos])
	}
	if s.choice < len(s.comp.choices) && s.next == stageFinish {
		usage.Output += s.current().tokens
	}
	return usage
}

func (s *stream) Err() error { return s.err }

// Close ends the stream at once, also while another goroutine waits in Next.
func (s *stream) Close() error {
	s.close.Do(func() { close(s.closed) })
	return nil
}

// Interface guard.
var _ gateway.Stream = (*stream)(nil)
