package responses

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Clients send back the encrypted_content of a reasoning item as they were given it. What other providers want back
// travels there, behind the name of the dialect that signed and what it is, as in anthropic.signature.EqQB…. OpenAI's
// own content has no dot in it.
const (
	sealSignature = "signature" // of the thoughts in the same item
	sealRedacted  = "redacted"  // thoughts that only the provider can read
	sealCall      = "call"      // the signature of the call that follows
)

// appendSeal appends the member encrypted_content, where a part has something that its provider wants back.
func appendSeal(dst []byte, part *dialect.Part) []byte {
	what, sealed := sealSignature, part.Signature
	switch {
	case part.Redacted != nil:
		what, sealed = sealRedacted, part.Redacted
	case part.Kind == dialect.PartToolUse:
		what = sealCall
	}
	if len(sealed) == 0 || part.Signer == "" {
		return dst
	}
	dst = append(dialect.Member(dst, "encrypted_content"), '"')
	dst = append(append(dst, part.Signer...), '.')
	dst = append(append(dst, what...), '.')
	return append(append(dst, sealed...), '"')
}

// unseal gives thoughts what came back with them, and tells what it was. What no other dialect has signed is OpenAI's.
func unseal(part *dialect.Part, content dialect.Inside) (what string) {
	signer, rest, _ := bytes.Cut(content, []byte("."))
	kind, sealed, found := bytes.Cut(rest, []byte("."))
	name := dialect.Name(signer)
	switch {
	case len(content) == 0:
		return ""
	case !found, name != dialect.OpenAI && name != dialect.Anthropic && name != dialect.Gemini:
		part.Signature, part.Signer = content, dialect.Responses
		return sealSignature
	}
	part.Signer = name
	switch what = string(kind); what {
	case sealRedacted:
		part.Redacted = sealed
	default:
		part.Signature = sealed
	}
	return what
}

// signCall gives a call the signature that came back before it.
func (d *requestDecoder) signCall(part *dialect.Part) {
	part.Signature, part.Signer = d.seal.Signature, d.seal.Signer
	d.seal = dialect.Part{}
}
