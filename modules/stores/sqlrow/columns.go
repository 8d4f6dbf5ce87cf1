// Package sqlrow says how keys, usage and records of files lie in the rows of a SQL database. Every database of ours keeps the same
// tables, so that keys can move from one to another, and what is read or written alike is here: the forms of
// columns, the statements that all of them understand, and how rows become what the gateway knows.
package sqlrow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// storedLimit is one element of the limits column, e.g. {"kind":"requests","n":1000,"window":3600}. The form is
// the stores' own, so that what is stored stays readable whatever becomes of gateway.Limit.
type storedLimit struct {
	Kind   gateway.LimitKind `json:"kind"`
	N      int64             `json:"n"`
	Window int64             `json:"window,omitempty"` // seconds; absent where the kind has no window
}

// EncodeLimits is limits as they are stored. Their windows must be whole seconds.
func EncodeLimits(limits []gateway.Limit) (string, error) {
	stored := make([]storedLimit, len(limits))
	for i, limit := range limits {
		if limit.Window%time.Second != 0 {
			return "", fmt.Errorf("encoding limits: window %v is not whole seconds", limit.Window)
		}
		stored[i] = storedLimit{limit.Kind, limit.N, int64(limit.Window / time.Second)}
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return "", fmt.Errorf("encoding limits: %w", err)
	}
	return string(text), nil
}

// decoded is a text of limits with what it says.
type decoded struct {
	text   string
	limits []gateway.Limit
}

// latest is what was decoded last. Most keys have the limits of the key before, as their maker's default or their plan has them.
var latest atomic.Pointer[decoded]

// DecodeLimits reads what EncodeLimits wrote. Keys with the same limits may share the slice: nobody changes a key that a store has given out.
func DecodeLimits(text []byte) ([]gateway.Limit, error) {
	if last := latest.Load(); last != nil && last.text == string(text) {
		return last.limits, nil
	}
	limits, err := decodeLimits(text)
	if err == nil {
		latest.Store(&decoded{string(text), limits})
	}
	return limits, err
}

func decodeLimits(text []byte) ([]gateway.Limit, error) {
	var stored []storedLimit
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("decoding limits: %w", err)
	}
	if len(stored) == 0 {
		return nil, nil
	}
	limits := make([]gateway.Limit, len(stored))
	for i, limit := range stored {
		limits[i] = gateway.Limit{Kind: limit.Kind, N: limit.N, Window: time.Duration(limit.Window) * time.Second}
	}
	return limits, nil
}

// EncodeModels is the names of models as they are stored.
func EncodeModels(models []string) (string, error) {
	if len(models) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(models)
	if err != nil {
		return "", fmt.Errorf("encoding models: %w", err)
	}
	return string(text), nil
}

// DecodeModels reads what EncodeModels wrote.
func DecodeModels(text []byte) ([]string, error) {
	var models []string
	if err := json.Unmarshal(text, &models); err != nil {
		return nil, fmt.Errorf("decoding models: %w", err)
	}
	if len(models) == 0 {
		return nil, nil
	}
	return models, nil
}

// DecodeHash refuses bytes of another length than a SHA-256's, which the schemas' check lets nobody store.
func DecodeHash(stored []byte) (gateway.KeyHash, error) {
	if len(stored) != len(gateway.KeyHash{}) {
		return gateway.KeyHash{}, errors.New("decoding hash: not the length of a SHA-256")
	}
	return gateway.KeyHash(stored), nil
}

// Seconds is a time as it is stored: Unix seconds, rounded down, with 0 for the zero time.
func Seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Instant reads what Seconds wrote, in UTC.
func Instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// CeilSeconds is the first whole second that is not before t: stored times are whole, and bounds need not be.
func CeilSeconds(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

// CeilMillis is the first whole millisecond that is not before t.
func CeilMillis(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// Plain is text as every database can keep it: NUL and what is not UTF-8, which PostgreSQL refuses, becomes U+FFFD.
func Plain(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
