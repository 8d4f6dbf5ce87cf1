package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// storedLimit is one element of the limits column, e.g. {"kind":"requests","n":1000,"window":3600}, as in SQLite.
// The form is the stores' own, so that what is stored stays readable whatever becomes of gateway.Limit.
type storedLimit struct {
	Kind   gateway.LimitKind `json:"kind"`
	N      int64             `json:"n"`
	Window int64             `json:"window,omitempty"` // seconds; absent where the kind has no window
}

func encodeLimits(limits []gateway.Limit) (string, error) {
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

func encodeModels(models []string) (string, error) {
	if len(models) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(models)
	if err != nil {
		return "", fmt.Errorf("encoding models: %w", err)
	}
	return string(text), nil
}

func decodeModels(text []byte) ([]string, error) {
	var models []string
	if err := json.Unmarshal(text, &models); err != nil {
		return nil, fmt.Errorf("decoding models: %w", err)
	}
	if len(models) == 0 {
		return nil, nil
	}
	return models, nil
}

// decodeHash refuses bytes of another length than a SHA-256's, which the schema's check lets nobody store.
func decodeHash(stored []byte) (gateway.KeyHash, error) {
	if len(stored) != len(gateway.KeyHash{}) {
		return gateway.KeyHash{}, errors.New("decoding hash: not the length of a SHA-256")
	}
	return gateway.KeyHash(stored), nil
}

// seconds is a time as it is stored: Unix seconds, rounded down, with 0 for the zero time.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
