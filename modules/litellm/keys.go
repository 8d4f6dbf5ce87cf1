package litellm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// key is what LiteLLM's list tells of a key. Of its secret it has a hash only, which nobody needs.
type key struct {
	Alias       string   `json:"key_alias"`
	Team        string   `json:"team_id"`
	Models      []string `json:"models"`
	RPM         *int64   `json:"rpm_limit"`
	TPM         *int64   `json:"tpm_limit"`
	Parallel    *int64   `json:"max_parallel_requests"`
	Budget      *float64 `json:"max_budget"`
	Blocked     *bool    `json:"blocked"`
	Expires     string   `json:"expires"`
	ModelLimits any      `json:"model_rpm_limit"`
}

var teamName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Keys makes a shell script of LiteLLM's list of keys, which makes new ones that may do the same.
func Keys(name string, list []byte) (script []byte, report string, err error) {
	var page struct {
		Keys  []json.RawMessage
		Pages int `json:"total_pages"`
	}
	if err := json.Unmarshal(list, &page); err != nil {
		return nil, "", fmt.Errorf("reading %s: it is not the answer of /key/list: %w", name, err)
	}
	n := notes{file: name}
	if page.Pages > 1 {
		n.add(0, "this is one of %d pages; ask for the others by ?page=", page.Pages)
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# Each line makes a key and prints its secret, which is shown only then.\nset -eu\n")
	for i, raw := range page.Keys {
		var k key
		if err := json.Unmarshal(raw, &k); err != nil {
			if raw[0] == '"' {
				return nil, "", fmt.Errorf("reading %s: it holds hashes only; ask for /key/list?return_full_object=true", name)
			}
			return nil, "", fmt.Errorf("reading %s: key %d: %w", name, i+1, err)
		}
		if k.Alias == "" {
			k.Alias = fmt.Sprintf("litellm-%d", i+1)
		}
		k.write(&b, &n)
	}
	return []byte(b.String()), n.String(), nil
}

// write appends the command that makes the key.
func (k *key) write(b *strings.Builder, n *notes) {
	if k.Blocked != nil && *k.Blocked {
		n.add(0, "%s is left out: it is blocked", k.Alias)
		return
	}
	args := []string{"caddy llm keys create --name", quote(k.Alias)}
	switch {
	case k.Team == "":
	case teamName.MatchString(k.Team):
		args = append(args, "--team", k.Team)
	default:
		n.add(0, "%s: the team %q is left out: a name has up to 64 letters, digits, '.', '_' and '-'", k.Alias, k.Team)
	}
	limited := false
	for _, limit := range []struct {
		n    *int64
		unit string
	}{{k.RPM, "/1m"}, {k.TPM, "tokens/1m"}, {k.Parallel, "concurrent"}} {
		if limit.n != nil && *limit.n > 0 {
			args, limited = append(args, "--limit", fmt.Sprint(*limit.n, limit.unit)), true
		}
	}
	if !limited {
		args = append(args, "--limit none")
	}
	if k.Team != "" && (len(k.Models) == 0 || slices.Contains(k.Models, "all-proxy-models")) { // a team bounds its keys in LiteLLM
		n.add(0, "%s is left out: its models are its team's, which the list does not tell; make it with --model", k.Alias)
		return
	}
	for _, model := range k.Models {
		switch model {
		case "all-proxy-models":
		case "all-team-models", "no-default-models":
			n.add(0, "%s is left out: its models are its team's, which the list does not tell; make it with --model", k.Alias)
			return
		default:
			args = append(args, "--model", quote(model))
		}
	}
	if k.Expires != "" {
		at, err := time.Parse(time.RFC3339, k.Expires)
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04:05.999999999", k.Expires) // as LiteLLM tells times without a zone, in UTC
		}
		if err != nil || at.Before(now()) {
			n.add(0, "%s is left out: it expired at %s", k.Alias, k.Expires)
			return
		}
		args = append(args, "--expires", at.UTC().Format(time.RFC3339))
	}
	if k.Budget != nil {
		n.add(0, "%s: max_budget is left out: keys have no budgets yet", k.Alias)
	}
	if limits, ok := k.ModelLimits.(map[string]any); ok && len(limits) > 0 {
		n.add(0, "%s: model_rpm_limit is left out: a key's limits are for all of its models", k.Alias)
	}
	b.WriteString(strings.Join(args, " ") + "\n")
}

var now = time.Now

var plain = regexp.MustCompile(`^[A-Za-z0-9._/:@-]+$`)

// quote is a text as one word of a shell.
func quote(text string) string {
	if plain.MatchString(text) && !strings.HasPrefix(text, "-") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
