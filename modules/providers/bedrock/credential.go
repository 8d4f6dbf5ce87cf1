package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

const (
	// service is what a signature is for.
	service = "bedrock"
	// refreshAhead is how long before its end a credential is fetched anew. AWS's own are good for an hour or more.
	refreshAhead = 5 * time.Minute

	bearerVariable = "AWS_BEARER_TOKEN_BEDROCK"
)

// credential says to AWS who asks: by an API key, by keys of the config, or by what AWS's chain of credentials gives.
type credential struct {
	region             string
	bearer             exchange.Credential
	id, secret, token  exchange.Credential
	chain              exchange.Fresh[aws.Credentials]
	signer             *v4.Signer
	hasBearer, hasKeys bool
}

// setCredential finds out which credential it is, and the region where the config has none.
func (p *Provider) setCredential() error {
	c := &p.credential
	if c.hasKeys = p.AccessKeyID != "" || p.SecretAccessKey != "" || p.SessionToken != ""; c.hasKeys && p.Profile != "" {
		return errors.New("profile: there is an access_key_id too; give one of them")
	}
	if p.APIKey != "" && (c.hasKeys || p.Profile != "") {
		return errors.New("api_key: there is an access_key_id or a profile too; give one of them")
	}
	if p.APIKey == "" && !c.hasKeys && p.Profile == "" && os.Getenv(bearerVariable) != "" {
		p.APIKey = "{env." + bearerVariable + "}"
	}
	c.hasBearer = p.APIKey != ""
	c.bearer.Placeholder = p.APIKey
	c.id.Placeholder, c.id.Option = p.AccessKeyID, "access_key_id"
	c.secret.Placeholder, c.secret.Option = p.SecretAccessKey, "secret_access_key"
	c.token.Placeholder, c.token.Option = p.SessionToken, "session_token"

	// A mode other than the standard one may ask the machine's metadata where it is.
	options := []func(*config.LoadOptions) error{config.WithDefaultsMode(aws.DefaultsModeStandard)}
	if p.Region != "" {
		options = append(options, config.WithRegion(p.Region))
	}
	if p.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(p.Profile))
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), options...) // which reads files alone
	if err != nil {
		return fmt.Errorf("reading AWS's config: %w", err)
	}
	p.Region = cfg.Region
	c.region, c.signer = cfg.Region, v4.NewSigner()
	c.chain.Ahead = refreshAhead
	c.chain.Fetch = func(ctx context.Context) (aws.Credentials, time.Time, error) {
		if cache, ok := cfg.Credentials.(*aws.CredentialsCache); ok {
			cache.Invalidate() // it would give the former one until that has ended
		}
		got, err := cfg.Credentials.Retrieve(ctx)
		if !got.CanExpire {
			return got, time.Time{}, err
		}
		return got, got.Expires, err
	}
	return nil
}

// check refuses placeholders that lead to nothing. What the chain gives is known once it is asked.
func (c *credential) check() error {
	switch {
	case c.hasBearer:
		return c.bearer.Check()
	case c.hasKeys && (c.id.Placeholder == "" || c.secret.Placeholder == ""):
		return errors.New("access_key_id: a key needs both access_key_id and secret_access_key")
	}
	return errors.Join(c.id.Check(), c.secret.Check(), c.token.Check())
}

// authorize signs a request.
func (c *credential) authorize(r *http.Request, body []byte) error {
	ctx := r.Context()
	if c.hasBearer {
		key, err := c.bearer.Read()
		if err != nil {
			return noCredential(errors.New("reading api_key"))
		}
		r.Header["Authorization"] = []string{"Bearer " + key}
		return nil
	}
	keys, err := c.get(ctx)
	if err != nil {
		return noCredential(err)
	}
	hash := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, keys, r, hex.EncodeToString(hash[:]), service, c.region, time.Now()); err != nil {
		return &dialect.Error{Kind: dialect.Internal, Message: "the gateway could not sign the request", Cause: err}
	}
	return nil
}

// get gives the keys that sign now.
func (c *credential) get(ctx context.Context) (aws.Credentials, error) {
	if !c.hasKeys {
		return c.chain.Get(ctx)
	}
	id, err := c.id.Read()
	secret, err2 := c.secret.Read()
	token, err3 := c.token.Read()
	if err != nil || err2 != nil || err3 != nil {
		return aws.Credentials{}, errors.New("reading access_key_id, secret_access_key and session_token")
	}
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
}

// noCredential lets another target be asked, since whoever gives credentials may be back soon.
func noCredential(err error) error {
	return &dialect.Error{Kind: dialect.UpstreamAuth, Message: "the gateway has no credential for the provider now", Retryable: true, Cause: fmt.Errorf("getting a credential of AWS: %w", err)}
}
