package exchange

import (
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// rereadAfter is how long a credential is used before its placeholder is read again, so that a secret's file can be
// replaced under a running gateway.
const rereadAfter = 10 * time.Second

// Credential is a secret behind a placeholder. Only the placeholder is ever part of the config.
type Credential struct {
	Placeholder string
	// Option is what the config calls it. Default: api_key.
	Option string

	current atomic.Pointer[reading]
}

type reading struct {
	secret string
	at     time.Time
}

// Check refuses a placeholder that leads to no secret. The error names the placeholder, never what is behind it.
func (c *Credential) Check() error {
	if c.Placeholder == "" {
		return nil
	}
	if secret, err := c.Read(); err != nil || secret == "" {
		option := cmp.Or(c.Option, "api_key")
		return fmt.Errorf("%s: %s is empty; set it, or leave %s out if the server takes none", option, c.Placeholder, option)
	}
	return nil
}

// Read returns the secret; "" where the placeholder is empty.
func (c *Credential) Read() (string, error) {
	if c.Placeholder == "" {
		return "", nil
	}
	now := time.Now()
	former := c.current.Load()
	if former != nil && now.Sub(former.at) < rereadAfter {
		return former.secret, nil
	}
	secret, err := caddy.NewReplacer().ReplaceOrErr(c.Placeholder, true, true)
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
