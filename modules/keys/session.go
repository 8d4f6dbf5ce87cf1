package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// transport is a way from a command to the key API.
type transport interface {
	// do sends a request for a path below the API's root, which may have a query, and returns the JSON of its
	// answer, empty where it has none. A refusal is an error that says why.
	do(ctx context.Context, method, path string, body []byte) ([]byte, error)
	close()
}

// session is one command under way.
type session struct {
	transport
	cmd  *cobra.Command
	args []string
	json bool
	// stale says that a running gateway, if there is one, was not told.
	stale bool
}

// run gives a command its way to the key API.
func (o *options) run(do func(*session) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s := &session{cmd: cmd, args: args, json: o.json}
		if err := s.open(o); err != nil {
			return err
		}
		defer s.close()
		return do(s)
	}
}

// open decides where the key API is: at the admin endpoint of the config where somebody listens, else in the store.
func (s *session) open(o *options) error {
	if _, err := caddy.ProvisionContext(silentConfig()); err != nil { // loading the config logs how it goes
		return fmt.Errorf("preparing Caddy: %w", err)
	}
	raw, file, _, err := caddycmd.LoadConfig(o.config, o.adapter)
	if err != nil {
		return err
	}
	var config struct {
		Admin adminConfig `json:"admin"`
		Apps  struct {
			Gateway json.RawMessage `json:"llm_gateway"`
		} `json:"apps"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &config); err != nil {
			return fmt.Errorf("reading the config: %w", err)
		}
	}
	if !config.Admin.Disabled {
		r, err := newRemote(config.Admin)
		if err != nil {
			return err
		}
		listening, err := r.listening(s.cmd.Context())
		if err != nil {
			return err
		}
		if listening {
			s.transport = r
			return nil
		}
		if file == "" {
			return fmt.Errorf("no gateway listens at %s, and there is no Caddyfile here; name the config with --config", r.address)
		}
	}
	l, err := openLocal(config.Apps.Gateway)
	if err != nil {
		return err
	}
	s.transport, s.stale = l, config.Admin.Disabled
	return nil
}

// fetch asks the key API and decodes its answer. With --json it prints the answer instead, and says so.
func (s *session) fetch(method, path string, body any, answer any) (printed bool, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return false, fmt.Errorf("encoding the request: %w", err)
		}
	}
	got, err := s.do(s.cmd.Context(), method, path, text)
	if err != nil {
		return false, err
	}
	if s.json {
		return true, s.print(string(got) + "\n")
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return false, nil
}

// print writes a command's result.
func (s *session) print(text string) error {
	_, err := io.WriteString(s.cmd.OutOrStdout(), text)
	return err
}

// note writes what is not the result, so that a script that reads the result does not read it.
func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.cmd.ErrOrStderr(), format+"\n", args...)
}

// noteStale warns after a change to a key that a running gateway may hold in memory.
func (s *session) noteStale() {
	if s.stale {
		s.note("The config has its admin endpoint off: a gateway that runs with it learns of this when it is started again.")
	}
}
