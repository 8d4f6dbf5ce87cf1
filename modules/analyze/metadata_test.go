package analyze

import (
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestMetadataIsLoggedWithoutCredentials(t *testing.T) {
	key := "sp_" + strings.Repeat("0a", 32)
	tests := []struct{ name, metadata, want string }{
		{"as it is", `{ "run": 7, "user": "ann" }`, `{"run":7,"user":"ann"}`},
		{"a gateway key", `{"key":"` + key + `"}`, `{"key":"[redacted]"}`},
		{"within a text", `{"note":"I used ` + key + `!"}`, `{"note":"I used [redacted]!"}`},
		{"a provider's key", `{"a":["sk-proj-0123456789"]}`, `{"a":["[redacted]"]}`},
		{"an admin credential", `{"a":"sa_0123456789abcdef"}`, `{"a":"[redacted]"}`},
		{"a bearer token", `{"Authorization":"bearer abc.def"}`, `{"Authorization":"[redacted]"}`},
		{"behind an escape", `{"a":"\u0073p_` + key[3:] + `"}`, `{"a":"[redacted]"}`},
		{"as a name", `{"` + key + `":1}`, `{"[redacted]":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			encoder := zapcore.NewMapObjectEncoder()
			metadataField([]byte(test.metadata)).AddTo(encoder)
			if got := string(encoder.Fields["metadata"].(json.RawMessage)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestMetadataThatIsTooLargeIsLoggedAsItsSize(t *testing.T) {
	encoder := zapcore.NewMapObjectEncoder()
	metadataField([]byte(`{"a":"` + strings.Repeat("a", maxMetadata) + `"}`)).AddTo(encoder)
	if len(encoder.Fields) != 1 || encoder.Fields["metadata_bytes"] != int64(maxMetadata+8) {
		t.Errorf("got %v", encoder.Fields)
	}
}
