package exchange

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
)

// Addresses are where an API is. Several of them share the calls in turn.
type Addresses struct {
	bases []*url.URL
	turn  atomic.Uint32
}

// Set reads the addresses, with their placeholders replaced. like is one as it should be written, for errors.
func (a *Addresses) Set(texts []string, like string) error {
	repl := caddy.NewReplacer()
	for _, text := range texts {
		base, err := url.Parse(strings.TrimSuffix(repl.ReplaceAll(text, ""), "/"))
		if err != nil {
			return errors.New("base_url: this is no address; write it as in " + like) // the text may hold a credential
		}
		if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
			base.RawQuery = "" // which may hold one too
			return fmt.Errorf("base_url: %q is no address; write it as in %s, without credentials or query", base.Redacted(), like)
		}
		a.bases = append(a.bases, base)
	}
	return nil
}

// next takes the next address in turn.
func (a *Addresses) next() *url.URL {
	if len(a.bases) == 1 {
		return a.bases[0]
	}
	return a.bases[int(a.turn.Add(1)-1)%len(a.bases)]
}

// below is the address of what lies below a base: an escaped path, perhaps with a query.
func below(base *url.URL, ref string) *url.URL {
	u := *base
	path, query, _ := strings.Cut(ref, "?")
	u.RawQuery = query
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path // whose percent signs then are escaped in turn
	}
	if u.Path += plain; plain != path {
		u.RawPath = base.EscapedPath() + path
	} else if u.RawPath != "" {
		u.RawPath += path
	}
	return &u
}
