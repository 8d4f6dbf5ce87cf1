package keys

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// unlimited is the word for no limits at all, since no --limit means the default.
const unlimited = "none"

// description is what the flags say of a key to be made.
type description struct {
	name, team, expires string
	limits, models      []string
}

func (d *description) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&d.name, "name", "", "A name for people to know the key by")
	flags.StringVar(&d.team, "team", "", "The team that the key belongs to, whose limits it shares")
	flags.StringArrayVar(&d.limits, "limit", nil, "A limit: 1000/1h, 200000tokens/1m or 16concurrent; repeatable; \"none\" for no limit (default 1000/1h)")
	flags.StringArrayVar(&d.models, "model", nil, "A model that the key may use, or a pattern of models such as gpt-*; repeatable (default: all)")
	flags.StringVar(&d.expires, "expires", "", "When the key ends: a duration from now, as in 30d, or a time, as in 2030-12-31T23:59:59Z (default: never)")
}

// body is the request that asks for the key. What no flag names is left to the API's default.
func (d *description) body(now time.Time) (map[string]any, error) {
	body := make(map[string]any)
	if d.name != "" {
		body["name"] = d.name
	}
	if d.team != "" {
		body["team"] = d.team
	}
	if len(d.limits) > 0 {
		limits, err := limitsOf(d.limits)
		if err != nil {
			return nil, err
		}
		body["limits"] = limits
	}
	if len(d.models) > 0 {
		body["allowed_models"] = d.models
	}
	if d.expires != "" {
		at, err := expiry(d.expires, now)
		if err != nil {
			return nil, err
		}
		body["expires_at"] = at.UTC().Format(time.RFC3339)
	}
	return body, nil
}

// limitsOf are the limits that --limit names, none where it is none.
func limitsOf(flag []string) ([]string, error) {
	if slices.Equal(flag, []string{unlimited}) {
		return []string{}, nil
	}
	if slices.Contains(flag, unlimited) {
		return nil, errors.New("--limit none means no limit at all; give it alone")
	}
	return flag, nil
}

// expiry reads a time, or a duration from now.
func expiry(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	after, err := caddy.ParseDuration(text)
	if err != nil || after <= 0 {
		return time.Time{}, fmt.Errorf("--expires: %q is neither a duration, as in 30d, nor a time, as in 2030-12-31T23:59:59Z", text)
	}
	return now.Add(after), nil
}

func createCommand(o *options) *cobra.Command {
	var d description
	cmd := &cobra.Command{
		Use:   "create [--name <name>] [--team <team>] [--limit <limit>...] [--model <model>...] [--expires <when>]",
		Short: "Makes a key and prints it",
		Long: `Makes a key and prints its secret, and nothing else, on standard output. It is
shown only now: the gateway keeps no more than its hash.

A key without --limit may make 1000 requests an hour. Each --limit is one of:

  1000/1h           requests in any hour
  200000tokens/1m   input and output tokens in any minute
  16concurrent      calls in progress
  none              no limit at all

A window is a duration such as 30s, 1m, 1h or 30d. All limits of a key hold at
once, beside those of the route that it calls.`,
		Example: `  $ caddy llm keys create --name ci
  $ caddy llm keys create --name batch --team research --limit 1000/1h --limit 16concurrent \
      --model fast --expires 30d
  $ export KEY=$(caddy llm keys create --name laptop)`,
		Args: cobra.NoArgs,
	}
	d.flags(cmd)
	cmd.RunE = o.run(func(s *session) error {
		body, err := d.body(time.Now())
		if err != nil {
			return err
		}
		var key keyJSON
		if printed, err := s.fetch(http.MethodPost, keysPath+"/", body, &key); printed || err != nil {
			return err
		}
		if err := s.print(key.Key + "\n"); err != nil {
			return err
		}
		s.note("This is the key %s. It is shown only now.", key.ID)
		return nil
	})
	return cmd
}

func importCommand(o *options) *cobra.Command {
	var d description
	var secret string
	cmd := &cobra.Command{
		Use:   "import --key <key> [--name <name>] [--team <team>] [--limit <limit>...] [--model <model>...] [--expires <when>]",
		Short: "Makes a key of a given secret",
		Long: `Makes a key whose secret clients have already: one from another gateway, or one
that a deployment was given. The secret is sp_ and 64 lowercase hexadecimal
digits. With --key - it is read from standard input, where no process list and
no shell history shows it.

Importing the same secret again changes nothing and succeeds; with --json,
"created" is then false. The other flags are those of create.`,
		Example: `  $ caddy llm keys import --key - --name ci < /run/secrets/gateway_key
  $ caddy llm keys import --key "$GATEWAY_KEY" --limit none --json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&secret, "key", "", "The secret; - reads it from standard input (required)")
	d.flags(cmd)
	cmd.RunE = o.run(func(s *session) error {
		body, err := d.body(time.Now())
		if err != nil {
			return err
		}
		if body["key"], err = readSecret(secret, cmd.InOrStdin()); err != nil {
			return err
		}
		var key keyJSON
		if printed, err := s.fetch(http.MethodPost, keysPath+"/import", body, &key); printed || err != nil {
			return err
		}
		if key.Created != nil && *key.Created {
			return s.print(key.ID + " imported\n")
		}
		return s.print(key.ID + " is there already, unchanged\n")
	})
	return cmd
}

// readSecret takes the secret from the flag, or its first line from standard input.
func readSecret(flag string, in io.Reader) (string, error) {
	switch flag {
	case "":
		return "", errors.New("the secret is missing: give --key sp_…, or --key - to read it from standard input")
	case "-":
		line, err := bufio.NewReader(io.LimitReader(in, 1024)).ReadString('\n')
		if line = strings.TrimSpace(line); line == "" {
			if err == nil || errors.Is(err, io.EOF) {
				err = errors.New("the first line is empty")
			}
			return "", fmt.Errorf("reading the secret from standard input: %w", err)
		}
		return line, nil
	}
	return flag, nil
}
