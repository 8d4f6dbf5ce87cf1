package keys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func listCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Lists all keys",
		Long: `Lists all keys in the order in which they were made, revoked and expired ones
too. With --json it prints one object with all of them in "data".`,
		Example: `  $ caddy llm keys list
  $ caddy llm keys list --json | jq -r '.data[] | select(.active | not) | .id'`,
		Args: cobra.NoArgs,
		RunE: o.run(func(s *session) error {
			keys, err := s.all()
			if err != nil {
				return err
			}
			if s.json {
				text, err := json.Marshal(pageJSON{Data: keys})
				if err != nil {
					return fmt.Errorf("encoding keys: %w", err)
				}
				return s.print(string(text) + "\n")
			}
			return s.table(keys)
		}),
	}
}

// all reads the list page by page.
func (s *session) all() ([]keyJSON, error) {
	keys := []keyJSON{}
	for after := ""; ; after = keys[len(keys)-1].ID {
		query := url.Values{"limit": {strconv.Itoa(maxPage)}, "after": {after}}
		text, err := s.do(s.cmd.Context(), http.MethodGet, keysPath+"/?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		var page pageJSON
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		keys = append(keys, page.Data...)
		if !page.HasMore || len(page.Data) == 0 {
			return keys, nil
		}
	}
}

func (s *session) table(keys []keyJSON) error {
	out := tabwriter.NewWriter(s.cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
	fmt.Fprintln(out, "ID\tNAME\tTEAM\tLIMITS\tMODELS\tSTATE\tLAST USED")
	for _, key := range keys {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Name, orDash(key.Team),
			listLimits(key.Limits), key.models(), key.state(time.Now()), timeOr(key.LastUsedAt, "never"))
	}
	return out.Flush()
}

func showCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show <id>",
		Short: "Shows a key",
		Long: `Shows what is known of a key: all but its secret, which the gateway does not
keep.`,
		Example: `  $ caddy llm keys show key_3f9a0c51d2e84b7796a1c0de`,
		Args:    oneID,
		RunE: o.run(func(s *session) error {
			var key keyJSON
			if printed, err := s.fetch(http.MethodGet, s.path(), nil, &key); printed || err != nil {
				return err
			}
			out := tabwriter.NewWriter(s.cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			for _, row := range [][2]string{
				{"id", key.ID}, {"name", key.Name}, {"team", orDash(key.Team)}, {"limits", listLimits(key.Limits)},
				{"models", key.models()}, {"state", key.state(time.Now())},
				{"created", key.CreatedAt.Format(time.RFC3339)}, {"expires", timeOr(key.ExpiresAt, "never")},
				{"last used", timeOr(key.LastUsedAt, "never")},
			} {
				fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
			}
			return out.Flush()
		}),
	}
}

func listLimits(limits []limitJSON) string {
	if len(limits) == 0 {
		return "unlimited"
	}
	texts := make([]string, len(limits))
	for i, limit := range limits {
		texts[i] = limit.String()
	}
	return strings.Join(texts, ", ")
}

func (key *keyJSON) models() string {
	if len(key.Models) == 0 {
		return "all"
	}
	return strings.Join(key.Models, ", ")
}

// state says whether the key works.
func (key *keyJSON) state(now time.Time) string {
	switch {
	case !key.Active:
		return "revoked"
	case key.ExpiresAt == nil:
		return "active"
	case now.Before(*key.ExpiresAt):
		return "active until " + key.ExpiresAt.Format(time.RFC3339)
	}
	return "expired"
}

func timeOr(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return at.Format(time.RFC3339)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
