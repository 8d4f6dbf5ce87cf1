package litellm

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { gateway.RegisterCommand(command) }

// options are the command's flags.
type options struct{ output, keys, keysOutput string }

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "import-litellm <config.yaml> [--output <file>] [--keys <keys.json> --keys-output <file>]",
		Short: "Makes a Caddyfile of a LiteLLM proxy's configuration",
		Long: `Makes a Caddyfile of a LiteLLM proxy's config.yaml: providers, models, patterns,
aliases, fallbacks, cache and databases. What has no counterpart is told on
standard error, with its line, and so is each environment variable to set.
Secrets are never copied: they become placeholders such as {env.OPENAI_API_KEY}.

LiteLLM keeps only hashes of its keys, so that their secrets cannot be carried over.
--keys takes the answer of its /key/list?return_full_object=true and makes a shell
script that makes new keys with the same names, teams, models and limits.

No file is overwritten.`,
		Example: `  $ caddy llm import-litellm config.yaml --output Caddyfile
  $ curl -s "$LITELLM/key/list?return_full_object=true" -H "Authorization: Bearer $MASTER_KEY" > keys.json
  $ caddy llm import-litellm config.yaml --output Caddyfile --keys keys.json --keys-output keys.sh`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return o.run(cmd, args[0])
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "The file for the Caddyfile (default: standard output)")
	cmd.Flags().StringVar(&o.keys, "keys", "", "LiteLLM's list of keys, as JSON")
	cmd.Flags().StringVar(&o.keysOutput, "keys-output", "", "The file for the script that makes the keys")
	cmd.MarkFlagsRequiredTogether("keys", "keys-output")
	return cmd
}

func (o *options) run(cmd *cobra.Command, path string) error {
	config, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	made, report, err := Import(filepath.Base(path), config)
	fmt.Fprint(cmd.ErrOrStderr(), report)
	if err != nil {
		return err
	}
	var script []byte
	if o.keys != "" {
		list, err := os.ReadFile(o.keys)
		if err != nil {
			return fmt.Errorf("reading the keys: %w", err)
		}
		if script, report, err = Keys(filepath.Base(o.keys), list); err != nil {
			return err
		}
		fmt.Fprint(cmd.ErrOrStderr(), report)
	}
	if o.output == "" {
		if _, err := cmd.OutOrStdout().Write(made); err != nil {
			return err
		}
	} else if err := create(o.output, made, 0o644); err != nil {
		return err
	}
	if script == nil {
		return nil
	}
	return create(o.keysOutput, script, 0o755)
}

// create writes a file that is not there yet.
func create(path string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if _, err := file.Write(text); err != nil {
		file.Close() //nolint:errcheck // there is a better error
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return file.Close()
}
