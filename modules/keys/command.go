package keys

import (
	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	gateway.RegisterCommand(keysCommand)
	gateway.RegisterCommand(teamsCommand)
}

// options are the flags that all commands share.
type options struct {
	config, adapter string
	json            bool
}

// optionsOf gives a command and those below it the flags.
func optionsOf(cmd *cobra.Command) *options {
	o := new(options)
	flags := cmd.PersistentFlags()
	flags.StringVarP(&o.config, "config", "c", "", "Configuration file (default: the Caddyfile in the current directory)")
	flags.StringVarP(&o.adapter, "adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.BoolVar(&o.json, "json", false, "Print the key API's JSON")
	return o
}

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys <command>",
		Short: "Manages the gateway's keys",
		Long: `Manages the keys with which clients call the gateway.

A command asks the running gateway over Caddy's admin endpoint, at the address
that the config gives. Where nobody listens there, it opens the key store of the
config itself, so that keys can be made before the first start.

A key's secret is shown once, when it is made. The gateway keeps only its hash.
Everywhere else a key goes by its id, as in key_3f9a0c51d2e84b7796a1c0de.`,
		Example: `  $ caddy llm keys create --name ci --limit 1000/1h --expires 30d
  $ caddy llm keys list
  $ caddy llm keys revoke key_3f9a0c51d2e84b7796a1c0de`,
		RunE: gateway.OnlyCommands,
	}
	o := optionsOf(cmd)
	cmd.AddCommand(
		createCommand(o), importCommand(o), listCommand(o), showCommand(o),
		revokeCommand(o), activateCommand(o), rotateCommand(o), deleteCommand(o),
	)
	return cmd
}
