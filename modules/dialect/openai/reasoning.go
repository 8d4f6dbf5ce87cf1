package openai

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// OpenAI's chat completions do not show a model's thoughts. Servers that do name them reasoning_content
// (DeepSeek, vLLM) or reasoning (OpenRouter). Neither has a place for the signature that Anthropic and Google
// want back, so that signed thoughts are told once more in OpenRouter's reasoning_details, with the format that
// says whose they are.
const (
	formatAnthropic = "anthropic-claude-v1"
	formatGemini    = "google-gemini-v1"
)

// decodeReasoning appends the thoughts of a message, those with a signature where there are any. A server that
// streams tells the text of signed thoughts in details of their own, before the signature, or only beside them.
func decodeReasoning(parts []dialect.Part, m message) []dialect.Part {
	begin := len(parts)
	plain := dialect.InsideOf(m.reasoning)
	var before dialect.Inside
	for detail := range dialect.Elements(m.details) {
		part := decodeDetail(detail)
		switch {
		case part.Redacted != nil:
			parts = append(parts, part)
		case part.Signature == nil:
			before = append(before, part.Text...)
		default:
			if before != nil {
				part.Text = append(before, part.Text...)
				before = nil
			}
			if len(part.Text) == 0 {
				part.Text, plain = plain, nil
			}
			parts = append(parts, part)
		}
	}
	if len(plain) > 0 && len(parts) == begin {
		parts = append(parts, dialect.Part{Kind: dialect.PartReasoning, Text: plain})
	}
	return parts
}

func decodeDetail(detail []byte) dialect.Part {
	part := dialect.Part{Kind: dialect.PartReasoning, Signer: dialect.OpenAI}
	for name, value := range dialect.Members(detail) {
		switch string(name) {
		case "text":
			part.Text = dialect.InsideOf(value)
		case "signature":
			part.Signature = dialect.InsideOf(value)
		case "data":
			part.Redacted = dialect.InsideOf(value)
		case "format":
			switch format, _ := dialect.Text(value); format {
			case formatAnthropic:
				part.Signer = dialect.Anthropic
			case formatGemini:
				part.Signer = dialect.Gemini
			}
		}
	}
	return part
}

// appendDetail appends one element of reasoning_details.
func appendDetail(dst []byte, part *dialect.Part, index int) []byte {
	dst = append(dst, '{')
	if part.Redacted != nil {
		dst = dialect.TextMember(dst, "type", "reasoning.encrypted")
		dst = dialect.InsideMember(dst, "data", part.Redacted)
	} else {
		dst = dialect.TextMember(dst, "type", "reasoning.text")
		dst = part.Text.Quote(dialect.Member(dst, "text"))
		dst = dialect.InsideMember(dst, "signature", part.Signature)
	}
	switch part.Signer {
	case dialect.Anthropic:
		dst = dialect.TextMember(dst, "format", formatAnthropic)
	case dialect.Gemini:
		dst = dialect.TextMember(dst, "format", formatGemini)
	}
	dst = strconv.AppendInt(dialect.Member(dst, "index"), int64(index), 10)
	return append(dst, '}')
}

// thoughtSignature reads what Google's servers hand along with a call: {"google":{"thought_signature":"…"}}.
func thoughtSignature(extra []byte) dialect.Inside {
	for name, value := range dialect.Members(extra) {
		if string(name) != "google" {
			continue
		}
		for name, value := range dialect.Members(value) {
			if string(name) == "thought_signature" {
				return dialect.InsideOf(value)
			}
		}
	}
	return nil
}

// appendThoughtSignature appends the member extra_content of a call, where Google signed it.
func appendThoughtSignature(dst []byte, part *dialect.Part) []byte {
	if part.Signature == nil || part.Signer != dialect.Gemini {
		return dst
	}
	dst = append(dst, `,"extra_content":{"google":{"thought_signature":`...)
	return append(part.Signature.Quote(dst), "}}"...)
}
