package anthropic

import (
	"strings"
	"testing"
)

func TestOnlyWholeMessagesAreComplete(t *testing.T) {
	tests := []struct{ name, answer, says string }{
		{"a whole one", `{"type":"message","content":[],"stop_reason":"end_turn"}`, ""},
		{"one that was cut by its length", `{"type":"message","content":[],"stop_reason":"max_tokens"}`, ""},
		{"an error", `{"type":"error","error":{"type":"api_error","message":"m"}}`, "an error"},
		{"no message", `{"content":[],"stop_reason":"end_turn"}`, "no message"},
		{"no content", `{"type":"message","stop_reason":"end_turn"}`, "no content"},
		{"content that is no array", `{"type":"message","content":"a","stop_reason":"end_turn"}`, "no content"},
		{"no stop_reason", `{"type":"message","content":[]}`, "stop_reason"},
		{"null", `{"type":"message","content":[],"stop_reason":null}`, "stop_reason"},
		{"a pause", `{"type":"message","content":[],"stop_reason":"pause_turn"}`, "pauses"},
		{"half a message", `{"type":"message","content":[]`, "JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Complete([]byte(tt.answer))
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want an error that says %q", err, tt.says)
			}
		})
	}
}
