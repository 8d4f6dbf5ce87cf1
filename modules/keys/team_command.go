package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func teamsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "teams <command>",
		Aliases: []string{"team"},
		Short:   "Manages the limits that teams of keys share",
		Long: `Manages teams: limits that all keys of a team share, beside each key's own.

A key names its team when it is made, or later. A team limits its keys from the
moment that it is made here; a name that is only given to keys limits nothing.

A command asks the running gateway, or opens the key store itself, as those of
caddy llm keys do.`,
		Example: `  $ caddy llm teams create research --limit 100000/1h --limit 32concurrent
  $ caddy llm keys create --name ci --team research
  $ caddy llm teams update research --limit 50000/1h`,
		RunE: gateway.OnlyCommands,
	}
	o := optionsOf(cmd)
	cmd.AddCommand(createTeamCommand(o), listTeamsCommand(o), updateTeamCommand(o), deleteTeamCommand(o))
	return cmd
}

// oneName wants a team's name as the only argument. As in oneID, no secret may reach a URL.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("give one team's name, as in %s research", cmd.CommandPath())
	}
	if gateway.WellFormedKey(args[0]) {
		return errors.New("that is a key's secret; give the name of a team, as caddy llm teams list shows it")
	}
	return nil
}

// teamPath is that of the team that the command names.
func (s *session) teamPath() string { return teamsPath + "/" + url.PathEscape(s.args[0]) }

func createTeamCommand(o *options) *cobra.Command {
	var flag []string
	cmd := &cobra.Command{
		Use:   "create <name> [--limit <limit>...]",
		Short: "Makes a team",
		Long: `Makes a team. Its name is up to 64 letters, digits, dots, dashes and underscores.

Each --limit is one that all keys of the team share: 1000/1h, 200000tokens/1m or
16concurrent, as caddy llm keys create has them. Without one, the team is
unlimited.`,
		Example: `  $ caddy llm teams create research --limit 100000/1h --limit 32concurrent`,
		Args:    oneName,
	}
	cmd.Flags().StringArrayVar(&flag, "limit", nil, "A limit: 1000/1h, 200000tokens/1m or 16concurrent; repeatable; \"none\" for no limit (default none)")
	cmd.RunE = o.run(func(s *session) error {
		limits, err := limitsOf(flag)
		if err != nil {
			return err
		}
		body := map[string]any{"name": s.args[0]}
		if len(limits) > 0 {
			body["limits"] = limits
		}
		return s.changeTeam(http.MethodPost, teamsPath+"/", body, "created")
	})
	return cmd
}

func updateTeamCommand(o *options) *cobra.Command {
	var flag []string
	var active bool
	cmd := &cobra.Command{
		Use:   "update <name> [--limit <limit>...] [--active=<bool>]",
		Short: "Changes a team",
		Long: `Changes a team. What the flags do not name stays as it is. Calls in progress go
on, and what is used of a limit stays used.

Every --limit is given anew: those that the team had are gone. With
--active=false the gateway refuses all keys of the team, from the next call on.`,
		Example: `  $ caddy llm teams update research --limit 50000/1h --limit 16concurrent
  $ caddy llm teams update research --limit none
  $ caddy llm teams update research --active=false`,
		Args: oneName,
	}
	cmd.Flags().StringArrayVar(&flag, "limit", nil, "A limit, in place of those before; repeatable; \"none\" for no limit")
	cmd.Flags().BoolVar(&active, "active", true, "Whether the keys of the team work")
	cmd.RunE = o.run(func(s *session) error {
		body := make(map[string]any)
		if len(flag) > 0 {
			limits, err := limitsOf(flag)
			if err != nil {
				return err
			}
			body["limits"] = limits
		}
		if cmd.Flags().Changed("active") {
			body["active"] = active
		}
		if len(body) == 0 {
			return errors.New("there is nothing to change; give --limit or --active")
		}
		return s.changeTeam(http.MethodPatch, s.teamPath(), body, "updated")
	})
	return cmd
}

// changeTeam makes one change to the team and says that it is done.
func (s *session) changeTeam(method, path string, body any, done string) error {
	var team teamJSON
	printed, err := s.fetch(method, path, body, &team)
	if err != nil {
		return err
	}
	s.noteStale()
	if printed {
		return nil
	}
	return s.print(team.Name + " " + done + ": " + listLimits(team.Limits) + ", " + team.state() + "\n")
}

func deleteTeamCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "delete <name>",
		Short: "Removes a team",
		Long: `Removes a team and its limits. A team with keys that are active is not removed,
since they would go on without its limits: revoke them first, or move them to
another team.`,
		Example: `  $ caddy llm teams delete research`,
		Args:    oneName,
		RunE: o.run(func(s *session) error {
			if _, err := s.do(s.cmd.Context(), http.MethodDelete, s.teamPath(), nil); err != nil {
				return err
			}
			s.noteStale()
			return s.printDeleted(gone{Name: s.args[0]})
		}),
	}
}

func listTeamsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Lists all teams",
		Long: `Lists all teams by name, inactive ones too. With --json it prints one object with
all of them in "data".`,
		Example: `  $ caddy llm teams list
  $ caddy llm teams list --json | jq -r '.data[].name'`,
		Args: cobra.NoArgs,
		RunE: o.run(func(s *session) error {
			teams, err := s.allTeams()
			if err != nil {
				return err
			}
			if s.json {
				text, err := json.Marshal(teamPageJSON{Data: teams})
				if err != nil {
					return fmt.Errorf("encoding teams: %w", err)
				}
				return s.print(string(text) + "\n")
			}
			out := tabwriter.NewWriter(s.cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(out, "NAME\tLIMITS\tSTATE\tCREATED")
			for _, team := range teams {
				fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", team.Name, listLimits(team.Limits), team.state(), team.CreatedAt.Format(time.RFC3339))
			}
			return out.Flush()
		}),
	}
}

// allTeams reads the list page by page.
func (s *session) allTeams() ([]teamJSON, error) {
	teams := []teamJSON{}
	for after := ""; ; after = teams[len(teams)-1].Name {
		query := url.Values{"limit": {strconv.Itoa(maxPage)}, "after": {after}}
		text, err := s.do(s.cmd.Context(), http.MethodGet, teamsPath+"/?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		var page teamPageJSON
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		teams = append(teams, page.Data...)
		if !page.HasMore || len(page.Data) == 0 {
			return teams, nil
		}
	}
}

// state says whether the team's keys work.
func (team *teamJSON) state() string {
	if team.Active {
		return "active"
	}
	return "inactive"
}
