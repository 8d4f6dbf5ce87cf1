// Package anthropicapi is how Anthropic's Messages API answers, wherever a provider finds it.
package anthropicapi

import (
	"github.com/tidwall/gjson"

	wire "github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// Format is how the API answers.
var Format = exchange.Format{
	ParseError: func(status int, header func(string) string, body []byte) error {
		return wire.ParseError(status, header, body)
	},
	IsError: func(body []byte) bool { return gjson.GetBytes(body, "type").Str == "error" },
	UsageOf: wire.UsageOf,
	Reader:  func(header func(string) string) exchange.Reader { return &reader{header: header} },
}
