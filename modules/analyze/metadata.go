package analyze

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// maxMetadata bounds what is logged of a request's metadata, in bytes.
const maxMetadata = 4 << 10

// credential finds what looks like a key of the gateway's or of a provider's, or a bearer token.
var credential = regexp.MustCompile(`(?i)(?:sp_|sa_|sk-)[a-z0-9_-]{8,}|bearer\s+[^\s"\\]+`)

// logMetadata adds a request's metadata to its line in the access log.
func logMetadata(r *http.Request, metadata []byte) {
	if metadata == nil {
		return
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(metadataField(metadata))
	}
}

// metadataField is the metadata without credentials. Metadata that is too large is not cut, since the rest would no
// longer be JSON: the log says how large it was.
func metadataField(metadata []byte) zap.Field {
	if len(metadata) > maxMetadata {
		return zap.Int("metadata_bytes", len(metadata))
	}
	// The canonical form has one spelling of each text, so that no escape hides a credential.
	plain, err := dialect.Canonical(nil, metadata, nil)
	if err != nil {
		return zap.Int("metadata_bytes", len(metadata))
	}
	return zap.Reflect("metadata", json.RawMessage(credential.ReplaceAllLiteral(plain, []byte("[redacted]"))))
}
