package gemini

import (
	"bytes"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Google's clients send back whatever thoughtSignature they were given, and take no other thing along with
// thoughts. What Anthropic signed therefore travels there, behind a mark in base64 that says whose it is. Each
// mark is of 18 bytes, so that what follows it stays base64.
const (
	markThinking = "YW50aHJvcGljOnRoaW5raW5n" // anthropic:thinking
	markRedacted = "YW50aHJvcGljOnJlZGFjdGVk" // anthropic:redacted
)

// The word that stands for the signature of a call which Google's models did not make, as Google documents it: see
// https://ai.google.dev/gemini-api/docs/thought-signatures. Google takes it as it is and in base64, but its own
// clients read base64 only.
const (
	unsigned     = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
	unsignedText = "skip_thought_signature_validator"
)

// sign gives a part the signature that came with it.
func sign(part *dialect.Part, signature dialect.Inside) {
	switch {
	case len(signature) == 0, string(signature) == unsigned, string(signature) == unsignedText:
	case bytes.HasPrefix(signature, []byte(markThinking)) && part.Kind == dialect.PartReasoning:
		part.Signature, part.Signer = signature[len(markThinking):], dialect.Anthropic
	case bytes.HasPrefix(signature, []byte(markRedacted)) && part.Kind == dialect.PartReasoning && len(part.Text) == 0:
		part.Text, part.Redacted, part.Signer = nil, signature[len(markRedacted):], dialect.Anthropic
	default:
		part.Signature, part.Signer = signature, dialect.Gemini
	}
}

// signatureOf gives what a client is to send back with a part, in two pieces; none where there is nothing, or
// where it is no base64, which Google's clients would not read.
func signatureOf(part *dialect.Part) (mark string, rest dialect.Inside) {
	switch rest = part.Signature; {
	case part.Redacted != nil:
		mark, rest = markRedacted, part.Redacted
	case part.Kind == dialect.PartReasoning && part.Signer == dialect.Anthropic:
		mark = markThinking
	}
	if len(rest) == 0 || !base64Like(rest) || mark == "" && part.Signer != dialect.Gemini || mark != "" && part.Signer != dialect.Anthropic {
		return "", nil
	}
	return mark, rest
}

// base64Like tells whether a text is base64 of either alphabet.
func base64Like(text dialect.Inside) bool {
	if len(text)%4 != 0 {
		return false
	}
	for _, c := range bytes.TrimRight(text, "=") {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// appendSignature appends the member thoughtSignature, where there is one.
func appendSignature(dst []byte, mark string, rest dialect.Inside) []byte {
	if rest == nil {
		return dst
	}
	dst = append(dialect.Member(dst, "thoughtSignature"), '"')
	dst = append(append(dst, mark...), rest...)
	return append(dst, '"')
}

// wantsSignature tells whether a model refuses calls without a signature, as Gemini does from version 3 on. What
// we do not know the version of is taken to be new.
func wantsSignature(model string) bool {
	return !strings.Contains(model, "gemini-1") && !strings.Contains(model, "gemini-2") && !strings.Contains(model, "gemma")
}
