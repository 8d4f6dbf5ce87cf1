package health

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { gateway.RegisterCommand(healthCommand) }

const (
	// commandTimeout is longer than checkTimeout, so that a gateway whose dependencies hang can still say so.
	commandTimeout = checkTimeout + 3*time.Second
	// maxReport bounds what is read of an answer, since whatever listens there need not be a gateway.
	maxReport = 1 << 20
)

func healthCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "health [--address <URL>]",
		Short: "Asks whether the gateway can serve calls",
		Long: `Asks the gateway at an address for its /v1/ready and prints what it reports. The
exit status is 0 where it can serve calls, degraded or not, and 1 where it cannot
or does not answer. A container without a shell can check itself with it.

The address is that of a site with llm_health. By default it is this machine, at
GATEWAY_ADDR or port 8000.`,
		Example: `  $ caddy llm health
  $ caddy llm health --address https://llm.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return ask(cmd, address)
		},
	}
	cmd.Flags().StringVar(&address, "address", defaultAddress(os.Getenv("GATEWAY_ADDR")), "The gateway's URL")
	return cmd
}

// defaultAddress is the URL of a gateway on this machine that listens at listen, as in ":8000".
func defaultAddress(listen string) string {
	if listen == "" {
		listen = ":8000"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func ask(cmd *cobra.Command, address string) error {
	url := strings.TrimRight(address, "/") + "/v1/ready"
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	// No proxy: what is asked for is whether this gateway answers.
	client := http.Client{Timeout: commandTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReport))
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	var rep report
	if err := json.Unmarshal(text, &rep); err != nil || rep.Status == "" {
		return fmt.Errorf("what listens at %s is no gateway with llm_health: it answers HTTP %d", address, resp.StatusCode)
	}
	if err := rep.write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway cannot serve calls: it is %s", rep.Status)
	}
	return nil
}

// write shows the report to people.
func (rep report) write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(out, "gateway\t%s\n", rep.Status)
	for _, name := range slices.Sorted(maps.Keys(rep.Dependencies)) {
		dep := rep.Dependencies[name]
		fmt.Fprintf(out, "%s\t%s\t%.1f ms\n", name, dep.Status, dep.LatencyMS)
	}
	for _, name := range slices.Sorted(maps.Keys(rep.Providers)) {
		fmt.Fprintf(out, "provider %s\t%s\n", name, rep.Providers[name])
	}
	return out.Flush()
}
