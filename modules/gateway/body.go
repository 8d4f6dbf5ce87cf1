package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
)

// DefaultAnalyzeTokens bounds a structured prompt's answer where the client names no bound.
const DefaultAnalyzeTokens = 2000

// keepBody is the largest buffer that goes back to the pool, so that one great body does not stay in memory.
const keepBody = 1 << 20

var bodies = sync.Pool{New: func() any { return &body{buf: make([]byte, 0, 4096)} }}

// body is a request's body, read once into a pooled buffer.
type body struct{ buf []byte }

func (b *body) release() {
	if b != nil && cap(b.buf) > 0 && !b.lasts() {
		b.buf = b.buf[:0]
		bodies.Put(b)
	}
}

// lasts says that the buffer is nobody else's after the call.
func (b *body) lasts() bool { return cap(b.buf) > keepBody }

// BodyLasts says that the bytes of Body stay as they are when the call is over.
func (c *Call) BodyLasts() bool { return c.body != nil && c.body.lasts() }

// Body is the client's body as Parse read it. It is the caller's to read until the call is over, or FreeBody was called; never to change.
func (c *Call) Body() []byte {
	if c.body == nil {
		return nil
	}
	return c.body.buf
}

// FreeBody gives the body's memory back before the call is over, since a stream may last for hours: Body is empty then. Whoever answers
// calls it once no attempt can follow and nobody holds a part of the body. Where the request log or the surface wants the body
// later, it stays.
func (c *Call) FreeBody() {
	if c.body == nil || c.Native != nil || c.Accept != nil || c.App.journal.config.Prompts {
		return
	}
	c.body.release()
	c.body = new(body) // so that it counts as read
}

// Read takes the request's body in, once, within the gateway's bound.
func (c *Call) Read(r *http.Request) *dialect.Error {
	if c.body != nil {
		return nil
	}
	limit := c.App.MaxBody
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	b := bodies.Get().(*body)
	c.body = b
	// One more than it holds, so that its end is seen without growing; but no more than a client has shown that it sends.
	if n := int(min(r.ContentLength, keepBody)) + 1; n > cap(b.buf) {
		b.buf = make([]byte, 0, n)
	}
	for {
		n, err := r.Body.Read(b.buf[len(b.buf):cap(b.buf)])
		b.buf = b.buf[:len(b.buf)+n]
		if int64(len(b.buf)) > limit {
			return tooLarge(limit)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			var tooLong *http.MaxBytesError
			if errors.As(err, &tooLong) {
				return tooLarge(tooLong.Limit)
			}
			return &dialect.Error{Kind: dialect.InvalidRequest, Message: "the request body ended before it was complete; send it again", Cause: err}
		}
		if len(b.buf) == cap(b.buf) {
			b.buf = slices.Grow(b.buf, growth(cap(b.buf), r.ContentLength))
		}
	}
}

// growth is how much a full buffer grows: to hold the rest of a body of known length, but at most eightfold, so that a large body is
// copied but in small part while it comes, and a client who promises much and sends little costs little.
func growth(size int, length int64) int {
	if rest := length + 1 - int64(size); rest > 0 {
		return int(min(rest, 7*int64(size)))
	}
	return size
}

func tooLarge(limit int64) *dialect.Error {
	return dialect.Errorf(dialect.TooLarge, "the request body is larger than the %s that this gateway takes", humanize.IBytes(uint64(limit)))
}

// Parse reads the body and peeks at what concerns the gateway, once. Later calls return the first one's finding.
func (c *Call) Parse(r *http.Request) *dialect.Error {
	if c.peekd {
		return c.perr
	}
	c.peekd = true
	c.perr = c.parse(r)
	return c.perr
}

func (c *Call) parse(r *http.Request) *dialect.Error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return &dialect.Error{Kind: dialect.InvalidRequest, Status: http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("the content encoding %q is not taken; send the body uncompressed", encoding)}
	}
	if err := c.Read(r); err != nil {
		return err
	}
	if takesForm(c.Surface.Operation) && isForm(r) {
		return c.peekForm(r.Header.Get("Content-Type"))
	}
	if err := dialect.Check(c.Body()); err != nil {
		return err
	}
	switch {
	case c.Surface.Passed:
		return c.peekPassed()
	case c.Surface.Operation != "" && c.Surface.Dialect == dialect.OpenAI:
		c.takeDeployment(r.URL.Path)
		return c.peekOpenAI()
	case c.Surface.Operation != "" && c.Surface.Dialect == dialect.Anthropic:
		return c.peekAnthropic()
	case c.Surface.Operation != "" && c.Surface.Dialect == dialect.Responses:
		return c.peekResponses()
	case c.Surface.Operation != "" && c.Surface.Dialect == dialect.Gemini:
		return c.peekGemini(r.URL)
	}
	c.InputTokens = int64(len(c.Body())) / 4 // a token is about four bytes of text
	if c.Surface == AnalyzePrompt {
		if c.MaxTokens = DefaultAnalyzeTokens; gjson.GetBytes(c.Body(), "max_tokens").Type == gjson.Number {
			c.MaxTokens = max(0, gjson.GetBytes(c.Body(), "max_tokens").Int())
		}
	}
	return nil
}

func (c *Call) peekOpenAI() *dialect.Error {
	peek, err := openai.Peek(c.Surface.Operation, c.Body())
	if err != nil {
		return err
	}
	if namesSecret(peek.Model) {
		return errSecretModel
	}
	c.Model = peek.Model
	c.Stream = peek.Stream && c.Surface.Operation == dialect.Chat // nothing else comes in events
	c.IncludeUsage = peek.IncludeUsage
	c.MaxTokens = peek.MaxTokens
	c.Repeatable = peek.Repeatable
	c.InputTokens = openai.EstimateInput(c.Body())
	return nil
}

func (c *Call) peekAnthropic() *dialect.Error {
	peek, err := anthropic.Peek(c.Surface.Operation, c.Body())
	if err != nil {
		return err
	}
	if namesSecret(peek.Model) {
		return errSecretModel
	}
	c.Model = peek.Model
	c.InputTokens = anthropic.EstimateInput(c.Body())
	if c.Surface.Operation == dialect.Chat { // a count has no output, and comes whole
		c.Stream, c.MaxTokens, c.Repeatable = peek.Stream, peek.MaxTokens, peek.Repeatable
	}
	return nil
}

func (c *Call) peekResponses() *dialect.Error {
	peek, err := responses.Peek(c.Body())
	if err != nil {
		return err
	}
	if namesSecret(peek.Model) {
		return errSecretModel
	}
	c.Model, c.Stream = peek.Model, peek.Stream
	c.MaxTokens, c.Repeatable = peek.MaxTokens, peek.Repeatable
	c.InputTokens = responses.EstimateInput(c.Body())
	return nil
}

// peekGemini reads a call whose address says the model, and whether and how it is to be streamed.
func (c *Call) peekGemini(address *url.URL) *dialect.Error {
	peek, err := gemini.Peek(c.Surface.Operation, c.Body())
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(address.Path, "/models/")
	name, _, _ = gemini.SplitMethod(strings.TrimSuffix(name, "/"))
	switch {
	case name == "":
		return dialect.Missing("model", "name it in the address, as in /v1beta/models/<model>:generateContent")
	case namesSecret(name):
		return errSecretModel
	}
	c.Model = name
	c.InputTokens = gemini.EstimateInput(c.Body())
	c.MaxTokens, c.Repeatable = peek.MaxTokens, peek.Repeatable
	if c.Stream = c.Surface == ContentStream; c.Stream && address.Query().Get("alt") != "sse" {
		c.Array = new(gemini.Array)
	}
	return nil
}

var errSecretModel = &dialect.Error{Kind: dialect.ModelNotFound, Field: "model", Message: "the model is not a name but looks like a credential; put a model's name there"}
