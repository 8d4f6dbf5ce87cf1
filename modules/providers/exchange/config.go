package exchange

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Vendor is who made an API that others serve too.
type Vendor struct {
	// Base is the address of the vendor's own server. Usually BaseVariable names another, and one of KeyVariables, most usual first, holds
	// the credential.
	Base         string
	BaseVariable string
	KeyVariables []string
	// Model is what the vendor's own server is asked for by default.
	Model string
	// Prefixes are how the names of the vendor's own models begin; nil where that cannot be said.
	Prefixes []string
	// Address makes the API's address of one as the config has it; nil where they are the same.
	Address func(base string) string
}

// Owns says whether an address of the config is the vendor's own.
func (v *Vendor) Owns(base string) bool {
	return strings.HasPrefix(strings.TrimSuffix(caddy.NewReplacer().ReplaceAll(base, ""), "/")+"/", v.Base+"/")
}

// usualKey is the placeholder of the variable that is set; of the most usual one where none is.
func (v *Vendor) usualKey() string {
	for _, variable := range v.KeyVariables {
		if os.Getenv(variable) != "" {
			return "{env." + variable + "}"
		}
	}
	return "{env." + v.KeyVariables[0] + "}"
}

// Config is what providers of a vendor's API have in their configs, and do with it.
type Config struct {
	// BaseURLs are the API's addresses; several share the calls in turn. Default: that of the variable which the official clients read, else
	// the vendor's own.
	BaseURLs []string `json:"base_url,omitempty"`
	// APIKey is the credential, as a placeholder; it is read when it is used, so the config holds no secret. Default: that of the variable
	// which the official clients read where BaseURLs is not set, none else.
	APIKey string `json:"api_key,omitempty"`
	Served
	Patience

	vendor *Vendor
	own    bool // an address is the vendor's own
	client *Client
}

// Options are the subdirectives of a Caddyfile that set it.
func (c *Config) Options() gateway.Options {
	options := gateway.Options{"base_url": &c.BaseURLs, "api_key": &c.APIKey}
	maps.Copy(options, c.Served.Options())
	maps.Copy(options, c.Patience.Options())
	return options
}

// Open applies the defaults of a vendor and makes the client ready.
func (c *Config) Open(client *Client, v *Vendor) error {
	c.client, c.vendor = client, v
	if len(c.BaseURLs) == 0 {
		c.BaseURLs = []string{cmp.Or(os.Getenv(v.BaseVariable), v.Base)}
		c.APIKey = cmp.Or(c.APIKey, v.usualKey())
	}
	addresses := make([]string, len(c.BaseURLs))
	repl := caddy.NewReplacer()
	for i, base := range c.BaseURLs {
		addresses[i] = strings.TrimSuffix(repl.ReplaceAll(base, ""), "/")
		if v.Address != nil {
			addresses[i] = v.Address(addresses[i])
		}
	}
	if err := client.Set(addresses, v.Base); err != nil {
		return err
	}
	known := ""
	if c.own = slices.ContainsFunc(c.BaseURLs, v.Owns); c.own {
		known = v.Model
	}
	c.SetDefault(known)
	client.Key.Placeholder = c.APIKey
	c.Patience.Open(client)
	return nil
}

// Validate refuses a missing credential and a default that is not served.
func (c *Config) Validate() error {
	if err := c.client.Key.Check(); err != nil {
		return err
	}
	return c.CheckDefault(c.Serves)
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (c *Config) Cleanup() error {
	c.client.Close()
	return nil
}

// AtVendor says whether an address is the vendor's own.
func (c *Config) AtVendor() bool { return c.own }

// Serves says whether the provider takes a model: those of its list. Where it has none, the vendor itself takes what is named as its
// models are, so that a provider of other models beside it is found by their names, and other servers take all.
func (c *Config) Serves(model string) bool {
	switch {
	case len(c.Names) > 0:
		return slices.Contains(c.Names, model)
	case c.own && c.vendor.Prefixes != nil:
		return slices.ContainsFunc(c.vendor.Prefixes, func(prefix string) bool { return strings.HasPrefix(model, prefix) })
	}
	return true
}
