package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what the tests look at of a Grafana dashboard.
type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Query string }
	}
}

type panel struct {
	Title, Description, Type string
	Datasource               struct{ UID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		Expr       string
		Datasource struct{ UID string }
	}
	GridPos struct{ X, Y, W, H int }
}

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(monitoring + "grafana/provisioning/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no dashboards: %v", err)
	}
	boards := make([]dashboard, len(files))
	for i, file := range files {
		if err := json.Unmarshal([]byte(readText(t, file)), &boards[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return boards
}

// charts are the panels that show something: all but the headings of rows.
func (d *dashboard) charts() []panel {
	return slices.DeleteFunc(slices.Clone(d.Panels), func(p panel) bool { return p.Type == "row" })
}

func TestTheOverviewHasThePanelsOfTheLoadTestingGuide(t *testing.T) {
	for _, board := range dashboards(t) {
		if board.Title != "API Overview - Structured Prompt Service" {
			continue
		}
		var titles []string
		for _, p := range board.charts() {
			titles = append(titles, p.Title)
		}
		want := []string{"Requests per second", "P95 latency", "Success rate", "Rate limit violations", "Status code distribution"}
		if !slices.Equal(titles, want) {
			t.Errorf("the panels are %q, want %q", titles, want)
		}
		return
	}
	t.Error("the dashboard is missing")
}

func TestPanelsTellWhatTheyShow(t *testing.T) {
	source := readText(t, monitoring+"grafana/provisioning/datasources/prometheus.yml")
	uids := make(map[string]bool)
	for _, board := range dashboards(t) {
		if board.UID == "" || uids[board.UID] {
			t.Errorf("%s: its uid is %q, which links to it need to be its own", board.Title, board.UID)
		}
		uids[board.UID] = true
		titles := make(map[string]bool)
		for i, p := range board.Panels {
			for _, other := range board.Panels[:i] {
				a, b := p.GridPos, other.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%s: %q lies on %q", board.Title, p.Title, other.Title)
				}
			}
		}
		for _, p := range board.charts() {
			where := board.Title + ": " + p.Title
			if titles[p.Title] {
				t.Errorf("%s: the title is there twice", where)
			}
			titles[p.Title] = true
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: it has no description, no unit or no query", where)
			}
			if p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: it is wider than the page", where)
			}
			for _, target := range p.Targets {
				for _, uid := range []string{p.Datasource.UID, target.Datasource.UID} {
					if uid == "" || !strings.Contains(source, "uid: "+uid+" ") {
						t.Errorf("%s: no datasource that is provisioned has the uid %q", where, uid)
					}
				}
				if regexp.MustCompile(`\brate\([^\[]*\[\d`).MatchString(target.Expr) {
					t.Errorf("%s: a rate has a length of its own in place of $__rate_interval: %s", where, target.Expr)
				}
				if strings.Contains(target.Expr, " or vector(") {
					t.Errorf("%s: a query that always has an answer hides that its series are missing: %s", where, target.Expr)
				}
			}
		}
	}
}

// expressions are a dashboard's queries as Grafana would send them, by panel.
func (d *dashboard) expressions(interval string) map[string][]string {
	replace := []string{"$__rate_interval", interval}
	for _, variable := range d.Templating.List {
		replace = append(replace, "$"+variable.Name, ".+") // All, and no series without the label
	}
	grafana := strings.NewReplacer(replace...)
	found := make(map[string][]string)
	for _, p := range d.charts() {
		for _, target := range p.Targets {
			found[p.Title] = append(found[p.Title], grafana.Replace(target.Expr))
		}
	}
	return found
}

// selector finds the series that an expression begins with: a name, which is no function's, and perhaps labels.
var selector = regexp.MustCompile(`\b((?:gateway|provider):[a-z0-9_:]+|(?:gateway|gen_ai|caddy|go|process)_[a-z0-9_]+|up)\b(\{[^}]*\})?`)

// selectors are the series that an expression reads. Names of labels, in braces and behind by, are none.
func selectors(expression string) []string {
	bare := regexp.MustCompile(`\b(by|on|without|ignoring) \([^)]*\)`).ReplaceAllString(expression, "")
	return selector.FindAllString(bare, -1)
}

func TestSelectorsAreFound(t *testing.T) {
	for expression, want := range map[string][]string{
		`histogram_quantile(0.95, sum by (le, gen_ai_provider_name) (rate(gen_ai_server_x_bucket{gen_ai_provider_name=~"$provider",le!=""}[5m])))`: {`gen_ai_server_x_bucket{gen_ai_provider_name=~"$provider",le!=""}`},
		`absent(up{job="gateway"} == 1)`:             {`up{job="gateway"}`},
		`gateway:a:rate1h / 0.005 > gateway_b_total`: {`gateway:a:rate1h`, `gateway_b_total`},
	} {
		if got := selectors(expression); !slices.Equal(got, want) {
			t.Errorf("%s reads %q, want %q", expression, got, want)
		}
	}
}
