package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// oneID wants a key's id as the only argument. A secret is refused before it can reach a URL, and so a log.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("give one key's id, as in %s key_3f9a0c51d2e84b7796a1c0de", cmd.CommandPath())
	}
	if strings.HasPrefix(args[0], gateway.KeyPrefix) {
		return errors.New("that is a key's secret; give its id, as caddy llm keys list shows it")
	}
	return nil
}

// path is that of the key that the command names.
func (s *session) path() string { return keysPath + "/" + url.PathEscape(s.args[0]) }

func revokeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke <id>",
		Short: "Ends a key until it is activated again",
		Long: `Ends a key: from the next call on, the gateway refuses it. Calls in progress go
on. Nothing of the key is lost; activate lets it work again.`,
		Example: `  $ caddy llm keys revoke key_3f9a0c51d2e84b7796a1c0de`,
		Args:    oneID,
		RunE:    o.run(func(s *session) error { return s.change(http.MethodDelete, "", "revoked") }),
	}
}

func activateCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "activate <id>",
		Short: "Lets a revoked key work again",
		Long: `Lets a revoked key work again, with the secret that it had. A key whose time is
over stays expired.`,
		Example: `  $ caddy llm keys activate key_3f9a0c51d2e84b7796a1c0de`,
		Args:    oneID,
		RunE:    o.run(func(s *session) error { return s.change(http.MethodPost, "/activate", "activated") }),
	}
}

// change makes one change to the key and says that it is done.
func (s *session) change(method, action, done string) error {
	var key keyJSON
	printed, err := s.fetch(method, s.path()+action, nil, &key)
	if err != nil {
		return err
	}
	s.noteStale()
	if printed {
		return nil
	}
	return s.print(key.ID + " " + done + "\n")
}

func rotateCommand(o *options) *cobra.Command {
	var grace string
	cmd := &cobra.Command{
		Use:   "rotate <id> [--grace <duration>]",
		Short: "Gives a key a fresh secret and prints it",
		Long: `Gives a key a fresh secret and prints it, and nothing else, on standard output.
The key keeps its id, its limits and what it has used of them.

The former secret ends at once, or after --grace, so that clients can change
over without an error.`,
		Example: `  $ caddy llm keys rotate key_3f9a0c51d2e84b7796a1c0de --grace 10m`,
		Args:    oneID,
	}
	cmd.Flags().StringVar(&grace, "grace", "0s", "How long the former secret works on")
	cmd.RunE = o.run(func(s *session) error {
		var key keyJSON
		printed, err := s.fetch(http.MethodPost, s.path()+"/rotate", map[string]string{"grace": grace}, &key)
		if err != nil {
			return err
		}
		s.noteStale()
		if printed {
			return nil
		}
		if err := s.print(key.Key + "\n"); err != nil {
			return err
		}
		s.note("This is the new secret of %s. It is shown only now.", key.ID)
		return nil
	})
	return cmd
}

func deleteCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "delete <id>",
		Short: "Removes a key for good",
		Long: `Removes a key and all that is known of it, for good. To end a key and keep the
record of it, use revoke.`,
		Example: `  $ caddy llm keys delete key_3f9a0c51d2e84b7796a1c0de`,
		Args:    oneID,
		RunE: o.run(func(s *session) error {
			if _, err := s.do(s.cmd.Context(), http.MethodDelete, s.path()+"?purge=true", nil); err != nil {
				return err
			}
			s.noteStale()
			return s.printDeleted(gone{ID: s.args[0]})
		}),
	}
}

// gone is the JSON of a key or a team that was deleted.
type gone struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Deleted bool   `json:"deleted"`
}

// printDeleted says that what the command names is gone.
func (s *session) printDeleted(it gone) error {
	if !s.json {
		return s.print(s.args[0] + " deleted\n")
	}
	it.Deleted = true
	text, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	return s.print(string(text) + "\n")
}
