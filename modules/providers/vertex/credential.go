package vertex

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

const (
	// scope is what a token is good for. There is no narrower one for models.
	scope = "https://www.googleapis.com/auth/cloud-platform"
	// refreshAhead is how long before its end a token is fetched anew. Google's are good for an hour.
	refreshAhead = 5 * time.Minute
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 10 * time.Second
)

// credential gets tokens for a file's credential, or for the machine's own where there is no file.
type credential struct {
	file   string
	client *http.Client
	tokens exchange.Fresh[token]
}

// token is an access token, and the project that pays for calls where that is not the one that is asked.
type token struct{ value, quota string }

// open reads the file, so that a mistake in it is found when the config is loaded, and tells which project it is of.
func (c *credential) open() (project string, err error) {
	c.client = &http.Client{Timeout: tokenTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute}}
	c.tokens.Ahead, c.tokens.Fetch = refreshAhead, c.fetch
	if c.file == "" {
		return "", nil
	}
	found, err := c.find()
	if err != nil {
		return "", fmt.Errorf("credentials_file: %w", err)
	}
	return gjson.GetBytes(found.JSON(), "project_id").Str, nil
}

// find reads the credential. It is read anew for each token, so that its file may be replaced.
func (c *credential) find() (*auth.Credentials, error) {
	options := &credentials.DetectOptions{Scopes: []string{scope}, Client: c.client}
	if c.file == "" {
		return credentials.DetectDefault(options)
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return nil, err
	}
	if !gjson.ValidBytes(text) { // the library's own error might quote it
		return nil, errors.New("the file holds no JSON")
	}
	return credentials.NewCredentialsFromJSON(credentials.CredType(gjson.GetBytes(text, "type").Str), text, options)
}

// fetch gets a token.
func (c *credential) fetch(ctx context.Context) (token, time.Time, error) {
	found, err := c.find()
	if err != nil {
		return token{}, time.Time{}, err
	}
	got, err := found.Token(ctx)
	if err != nil {
		return token{}, time.Time{}, err
	}
	quota, err := found.QuotaProjectID(ctx)
	if err != nil {
		return token{}, time.Time{}, err
	}
	return token{got.Value, quota}, got.Expiry, nil
}

// authorize adds a token to a request.
func (c *credential) authorize(r *http.Request, _ []byte) error {
	got, err := c.tokens.Get(r.Context())
	if err != nil { // another target may be asked, since whoever gives tokens may be back soon
		return &dialect.Error{Kind: dialect.UpstreamAuth, Message: "the gateway has no credential for the provider now", Retryable: true, Cause: fmt.Errorf("getting a token of Google: %w", told(err))}
	}
	r.Header["Authorization"] = []string{"Bearer " + got.value}
	if got.quota != "" {
		r.Header["X-Goog-User-Project"] = []string{got.quota}
	}
	return nil
}

// told is what of an error may be logged: of an answer of whoever gives tokens, the code alone.
func told(err error) error {
	var refused *auth.Error
	if errors.As(err, &refused) && refused.Response != nil {
		return fmt.Errorf("refused with status %d, code %q", refused.Response.StatusCode, dialect.CleanMessage(gjson.GetBytes(refused.Body, "error").Str))
	}
	return err
}

func (c *credential) close() {
	c.tokens.Close()
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
}
