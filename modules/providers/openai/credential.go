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
	former := c.current.Load()
	if former != nil && now.Sub(former.at) < rereadAfter {
		return former.secret, nil
	}
	secret, err := caddy.NewReplacer().ReplaceOrErr(c.placeholder, true, true)
	secret = strings.TrimSpace(secret)
	if former != nil && (err != nil || secret == "") { // a file may be missing while it is replaced
		secret, err = former.secret, nil
	}
	if err != nil {
		return "", err
	}
	c.current.Store(&reading{secret: secret, at: now})
	return secret, nil
}
