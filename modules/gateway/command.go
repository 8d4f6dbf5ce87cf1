package gateway

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// commands are the parts of `caddy llm`, each made when the command line is read.
var commands []func() *cobra.Command

// RegisterCommand adds a part to `caddy llm`. It belongs into an init.
func RegisterCommand(command func() *cobra.Command) { commands = append(commands, command) }

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "llm",
		Usage: "<command>",
		Short: "Manages the LLM gateway",
		Long:  "\nManages the LLM gateway that Caddy runs as its llm_gateway app.",
		CobraFunc: func(llm *cobra.Command) {
			llm.RunE = OnlyCommands
			for _, command := range commands {
				llm.AddCommand(command())
			}
		},
	})
}

// OnlyCommands runs a command that only has others below it. Without it, a mistyped one would print help and succeed.
func OnlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q; see %s --help", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}
