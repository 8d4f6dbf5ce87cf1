package gemini

import "strings"

// The methods of a model, as addresses name them behind a colon.
const (
	MethodGenerate   = "generateContent"
	MethodStream     = "streamGenerateContent"
	MethodCount      = "countTokens"
	MethodEmbed      = "embedContent"
	MethodEmbedBatch = "batchEmbedContents"
)

// SplitMethod takes <model>:<method> apart, where it is one of those methods. The model's name may hold colons of its own.
func SplitMethod(text string) (model, method string, ok bool) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return "", "", false
	}
	switch method = text[at+1:]; method {
	case MethodGenerate, MethodStream, MethodCount, MethodEmbed, MethodEmbedBatch:
		return text[:at], method, true
	}
	return "", "", false
}
