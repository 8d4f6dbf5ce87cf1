package bedrock

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/anthropicapi"
)

// version is Bedrock's name for the version of Anthropic's API, in the place of a header.
const version = "bedrock-2023-05-31"

// format is how Bedrock answers: as Anthropic's API does, with failures and a framing of its own.
var format = exchange.Format{
	ParseError: parseError,
	IsError:    anthropicapi.Format.IsError,
	UsageOf:    wire.UsageOf,
	Unwrap:     unwrap,
	Reader:     anthropicapi.Format.Reader,
}

// Send makes one attempt. Bedrock has the model and whether to stream in the path, and the API's headers in the body.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	sent := *attempt
	sent.Header = withoutAPI(attempt.Header)
	path := "/model/" + url.QueryEscape(attempt.Model) // as AWS's own clients write it
	switch {
	case attempt.Operation == dialect.CountTokens:
		return p.count(ctx, path+"/count-tokens", &sent, attempt.Header)
	case attempt.Operation != dialect.Chat:
		return nil, dialect.Errorf(dialect.InvalidRequest, "Bedrock's models have no operation %q here; ask a model of another provider", attempt.Operation)
	case attempt.Stream:
		path += "/invoke-with-response-stream"
	default:
		path += "/invoke"
	}
	return p.client.Send(ctx, path, body(attempt), &sent, &format)
}

// body is the client's, as Bedrock has it.
func body(attempt *gateway.Attempt, more ...dialect.Edit) []byte {
	edits := append([]dialect.Edit{{Name: "model"}, {Name: "stream"}}, more...)
	if !gjson.GetBytes(attempt.Body, "anthropic_beta").Exists() {
		if list := betas(attempt.Header["Anthropic-Beta"]); list != nil {
			edits = append(edits, dialect.Edit{Name: "anthropic_beta", Value: list})
		}
	}
	return anthropicapi.Versioned(attempt, version, edits...)
}

// betas writes the values of a header as an array; nil where there are none.
func betas(values []string) []byte {
	var list []byte
	for _, value := range values {
		for beta := range strings.SplitSeq(value, ",") {
			if beta = strings.TrimSpace(beta); beta == "" {
				continue
			}
			if list == nil {
				list = append(list, '[')
			} else {
				list = append(list, ',')
			}
			list = dialect.String(list, beta)
		}
	}
	if list == nil {
		return nil
	}
	return append(list, ']')
}

// withoutAPI are the headers that mean something to Bedrock.
func withoutAPI(header http.Header) http.Header {
	kept := header.Clone()
	delete(kept, "Anthropic-Version")
	delete(kept, "Anthropic-Beta")
	return kept
}

// count asks how many tokens a prompt is. Bedrock wants the whole of a call, with its cap, which a client that counts leaves out.
func (p *Provider) count(ctx context.Context, path string, sent *gateway.Attempt, header http.Header) (*gateway.Reply, error) {
	asked := *sent
	asked.Header = header
	var more []dialect.Edit
	if !gjson.GetBytes(sent.Body, "max_tokens").Exists() {
		more = []dialect.Edit{{Name: "max_tokens", Value: []byte("1")}}
	}
	call := body(&asked, more...)
	text := make([]byte, 0, 64+base64.StdEncoding.EncodedLen(len(call)))
	text = append(text, `{"input":{"invokeModel":{"body":"`...)
	text = base64.StdEncoding.AppendEncode(text, call)
	text = append(text, `"}}}`...)
	reply, err := p.client.Send(ctx, path, text, sent, &format)
	if err != nil {
		return nil, err
	}
	tokens := gjson.GetBytes(reply.Body, "inputTokens")
	if tokens.Type != gjson.Number {
		return nil, &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer has no count of tokens", Retryable: true}
	}
	reply.Body = wire.AppendCount(nil, tokens.Int())
	return reply, nil
}

// parseError makes an error of an answer that is none, by the name that AWS has for it.
func parseError(status int, header func(name string) string, said []byte) error {
	name, _, _ := strings.Cut(header("X-Amzn-Errortype"), ":")
	if name == "" {
		name = gjson.GetBytes(said, "__type").Str
		name = name[strings.LastIndexByte(name, '#')+1:]
	}
	if !gjson.ValidBytes(said) {
		return wire.ParseError(status, header, bytes.TrimSpace(said))
	}
	message := gjson.GetBytes(said, "message").Str
	if message == "" {
		message = gjson.GetBytes(said, "Message").Str
	}
	f := failureOf(name, status, message)
	return wire.ParseError(f.status, header, f.body(message))
}
