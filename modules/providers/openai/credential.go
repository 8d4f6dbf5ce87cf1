package openai

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// rereadAfter is how long a credential is used before its placeholder is read again, so that a secret's file can be
// replaced under a running gateway.
const rereadAfter = 10 * time.Second

// credential is a secret behind a placeholder. Only the placeholder is ever part of the config.
type credential struct {
	placeholder string
	current     atomic.Pointer[reading]
}

type reading struct {
	secret string
	at     time.Time
}

// read returns the secret; "" where the placeholder is empty.
func (c *credential) read() (string, error) {
	if c.placeholder == "" {
		return "", nil
	}
	now := time.Now()
	if r := c.current.Load(); r != nil && now.Sub(r.at) < rereadAfter {
		return r.secret, nil
	}
	secret, err := caddy.NewReplacer().ReplaceOrErr(c.placeholder, true, true)
	if err != nil {
		return "", err
	}
	secret = strings.TrimSpace(secret)
	c.current.Store(&reading{secret: secret, at: now})
	return secret, nil
}
