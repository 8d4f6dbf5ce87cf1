package gateway

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
)

// CodecOf finds the codec of a dialect that surfaces and providers may speak; nil where there is none.
func CodecOf(name dialect.Name) *dialect.Codec {
	switch name {
	case dialect.OpenAI:
		return &openai.Codec
	case dialect.Anthropic:
		return &anthropic.Codec
	case dialect.Gemini:
		return &gemini.Codec
	case dialect.Responses:
		return &responses.Codec
	}
	return nil
}

// Codec is that of the body which goes upstream. A call with a body of the gateway's own writes it in OpenAI's dialect.
func (c *Call) Codec() *dialect.Codec {
	if c.Native != nil {
		return &openai.Codec
	}
	return CodecOf(c.Surface.Dialect)
}
