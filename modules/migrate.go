package modules

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/postgres"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlite"
)

func init() { gateway.RegisterCommand(storeCommand) }

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store <command>",
		Short: "Manages the gateway's databases",
		RunE:  gateway.OnlyCommands,
	}
	cmd.AddCommand(migrateCommand())
	return cmd
}

func migrateCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate --to <postgres URL> [--from <SQLite file>]",
		Short: "Copies the embedded database to PostgreSQL",
		Long: `Copies all teams, keys and records of files, the hash of the admin credential, the usage and the
request log from the embedded SQLite database to PostgreSQL, whose tables are made
where they are missing. Usage is copied only where PostgreSQL has none yet, since it adds up.

Stop the gateways first: what they change while the copy runs, or after it, stays
behind. A copy that was interrupted can be run again: what PostgreSQL has already
stays as it is.

The URL of PostgreSQL may be a placeholder, so that no password is on the command
line.`,
		Example: `  $ caddy llm store migrate --to {env.DATABASE_URL}
  $ caddy llm store migrate --from /var/lib/caddy/gateway/gateway.db --to {file./run/secrets/database-url}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return migrate(cmd, from, to)
		},
	}
	data := os.Getenv("GATEWAY_DATA")
	if data == "" {
		data = gateway.DefaultDataDir
	}
	cmd.Flags().StringVar(&from, "from", filepath.Join(data, sqlite.FileName), "The SQLite file")
	cmd.Flags().StringVar(&to, "to", "", "The URL of PostgreSQL, or a placeholder for it")
	cmd.MarkFlagRequired("to") //nolint:errcheck // it is there
	return cmd
}

func migrate(cmd *cobra.Command, from, to string) error {
	if _, err := os.Stat(from); err != nil { // else opening it would make an empty one
		return fmt.Errorf("there is no database to copy: %w", err)
	}
	source := sqlite.New(from)
	defer source.Close()
	url := caddy.NewReplacer().ReplaceAll(to, "")
	if url == "" { // so what was given holds nothing but placeholders, which may be shown
		return fmt.Errorf("the URL of PostgreSQL is empty: set %s", to)
	}
	target, err := postgres.New(url)
	if err != nil {
		return err
	}
	defer target.Close()

	progress := cmd.ErrOrStderr()
	done, err := target.Import(cmd.Context(), source, func(so postgres.Imported) {
		if n := so.Created + so.Present + len(so.Taken); n%1000 == 0 {
			fmt.Fprintf(progress, "%d keys…\n", n)
		}
	})
	if err != nil {
		return fmt.Errorf("after %d keys: %w; run it again to go on", done.Created+done.Present, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d teams copied, %d were there already\n", done.Teams, done.TeamsPresent)
	fmt.Fprintf(cmd.OutOrStdout(), "%d keys copied, %d were there already\n", done.Created, done.Present)
	if done.Files+done.FilesPresent > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "records of %d files copied, of %d were there already\n", done.Files, done.FilesPresent)
	}
	if err := migrateLedger(cmd, source, target); err != nil {
		return fmt.Errorf("copying the ledger: %w; run it again to go on", err)
	}
	if done.Admin {
		fmt.Fprintln(cmd.OutOrStdout(), "the admin credential works there too")
	}
	if len(done.Taken) > 0 {
		return fmt.Errorf("%d keys were not copied, since a secret of theirs belongs to another key there: %v", len(done.Taken), done.Taken)
	}
	return nil
}

// migrateLedger copies sums of usage in one step, so that a copy that was interrupted has added none, and the request log
// in pages, whose rows are known by their ids.
func migrateLedger(cmd *cobra.Command, from, to gateway.Ledger) error {
	ctx := cmd.Context()
	begin, end := time.Unix(0, 0), time.Now().Add(time.Hour)
	there, err := to.Usage(ctx, begin, end, 1)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "usage is there already and was not copied")
	} else {
		rows, err := from.Usage(ctx, begin, end, math.MaxInt32)
		if err != nil {
			return err
		}
		if err := to.AddUsage(ctx, gateway.Batch{Writer: gateway.NewWriter(), Number: 1}, rows); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d sums of usage copied\n", len(rows))
	}
	return migrateCalls(cmd, from, to, begin, end)
}

func migrateCalls(cmd *cobra.Command, from, to gateway.Ledger, begin, end time.Time) error {
	copied := 0
	for page := 1000; ; {
		rows, err := from.Calls(cmd.Context(), begin, end, page)
		if err != nil {
			return err
		}
		if err := to.AddCalls(cmd.Context(), rows); err != nil {
			return err
		}
		if len(rows) < page {
			fmt.Fprintf(cmd.OutOrStdout(), "%d rows of the request log copied\n", copied+len(rows))
			return nil
		}
		// The next page begins with the last row's moment again, since others may share it.
		last := rows[len(rows)-1].At
		if last.Equal(begin) {
			page *= 2
			continue
		}
		for i := len(rows) - 1; i >= 0 && rows[i].At.Equal(last); i-- {
			copied--
		}
		copied += len(rows)
		begin = last
		fmt.Fprintf(cmd.ErrOrStderr(), "%d rows of the request log…\n", copied)
	}
}
