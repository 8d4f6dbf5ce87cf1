package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// monitoring is the folder of what watches the gateway.
const monitoring = "../monitoring/"

// tool finds a program that comes with Prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install it, on Debian with `apt-get install prometheus prometheus-alertmanager`, elsewhere from https://prometheus.io/download", name)
	}
	return path
}

// daemon runs a program until its test ends.
func daemon(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	log := new(output)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
		if t.Failed() {
			text := log.String()
			t.Logf("%s wrote at last:\n%s", filepath.Base(program), text[max(0, len(text)-3000):])
		}
	})
}

// prometheus is a real Prometheus, and an Alertmanager, with the repository's configuration. Only addresses and intervals differ.
type prometheus struct {
	t            *testing.T
	url          string
	alertmanager string
}

// startPrometheus watches the gateway whose metrics are at an address.
func startPrometheus(t *testing.T, gateway string) *prometheus {
	t.Helper()
	server, alertmanager := tool(t, "prometheus"), "prometheus-alertmanager" // as Debian calls it
	if _, err := exec.LookPath(alertmanager); err != nil {
		alertmanager = tool(t, "alertmanager")
	}
	dir := t.TempDir()
	address, alerts := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	rules, err := filepath.Abs(monitoring + "rules")
	if err != nil {
		t.Fatal(err)
	}
	config := readText(t, monitoring+"prometheus.yml")
	for from, to := range map[string]string{
		"rules/*.yml": rules + "/*.yml", "alertmanager:9093": alerts, "api-server:9180": gateway, "localhost:9090": address, " 15s": " 1s", " 10s": " 1s",
	} {
		if !strings.Contains(config, from) {
			t.Fatalf("prometheus.yml has no %q", from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	receivers, err := filepath.Abs(monitoring + "alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	daemon(t, dir, alertmanager, "--config.file="+receivers, "--storage.path="+filepath.Join(dir, "alerts"), "--web.listen-address="+alerts, "--cluster.listen-address=")
	daemon(t, dir, server, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "series"), "--web.listen-address="+address)
	p := &prometheus{t, "http://" + address, "http://" + alerts}
	for _, ready := range []string{p.url, p.alertmanager} {
		poll(t, 30*time.Second, "Prometheus and Alertmanager to be ready", func() bool {
			resp, err := http.Get(ready + "/-/ready")
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
	return p
}

// get reads a JSON answer.
func (p *prometheus) get(address string, into any) {
	p.t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %s", address, resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		p.t.Fatalf("%s: %v in %s", address, err, text)
	}
}

// query gives the values of an expression now. What is no number is left out.
func (p *prometheus) query(expression string) []float64 {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	p.get(p.url+"/api/v1/query?query="+url.QueryEscape(expression), &answer)
	var values []float64
	for _, result := range answer.Data.Result {
		value, err := strconv.ParseFloat(result.Value[1].(string), 64)
		if err != nil {
			p.t.Fatal(err)
		}
		if !math.IsNaN(value) {
			values = append(values, value)
		}
	}
	return values
}

// rule is a rule as Prometheus has loaded it.
type rule struct {
	Name        string
	Type        string // alerting or recording
	Query       string
	Health      string
	LastError   string
	Labels      map[string]string
	Annotations map[string]string
}

func (p *prometheus) rules() []rule {
	p.t.Helper()
	var answer struct {
		Data struct{ Groups []struct{ Rules []rule } }
	}
	p.get(p.url+"/api/v1/rules", &answer)
	var rules []rule
	for _, group := range answer.Data.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// alerts are those that have reached Alertmanager, with the receivers that hear of them.
func (p *prometheus) alerts() map[string][]string {
	p.t.Helper()
	var answer []struct {
		Labels    map[string]string
		Receivers []struct{ Name string }
	}
	p.get(p.alertmanager+"/api/v2/alerts", &answer)
	alerts := make(map[string][]string)
	for _, alert := range answer {
		for _, receiver := range alert.Receivers {
			alerts[alert.Labels["alertname"]] = append(alerts[alert.Labels["alertname"]], receiver.Name)
		}
	}
	return alerts
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
