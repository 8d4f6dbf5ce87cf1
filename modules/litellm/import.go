// Package litellm makes a Caddyfile of a LiteLLM proxy's configuration, and commands of its keys. What has no counterpart it tells, line by
// line; secrets it never copies.
package litellm

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// importer is one configuration on its way.
type importer struct {
	notes     notes
	providers []*provider
	models    []*model
	variables []variable
	literals  map[string]string // secrets in the file, and the variables that are to hold them
	reserved  map[string]bool   // variables that the file names itself

	timeout  time.Duration
	told     bool // what a timeout is here
	drop     bool
	retries  int
	cache    bool
	ttl      time.Duration
	inRedis  bool
	admin    string
	database string
}

// variable is one of the environment that the Caddyfile needs.
type variable struct{ name, what string }

func (im *importer) variable(name, what string) {
	if !im.taken(name) {
		im.variables = append(im.variables, variable{name, what})
	}
}

func (im *importer) taken(name string) bool {
	return slices.ContainsFunc(im.variables, func(v variable) bool { return v.name == name })
}

var named = regexp.MustCompile(environ + `(\w+)`)

// Import makes a Caddyfile of a config.yaml. The report has a line for all that was not carried over as it is, and for each
// variable of the environment that is to be set.
func Import(name string, config []byte) (caddyfile []byte, report string, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(config, &doc); err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", name, err)
	}
	if len(doc.Content) == 0 || resolved(doc.Content[0]).Kind != yaml.MappingNode {
		return nil, "", fmt.Errorf("reading %s: it holds no LiteLLM configuration", name)
	}
	im := &importer{notes: notes{file: name}, literals: make(map[string]string), reserved: make(map[string]bool)}
	for _, match := range named.FindAllSubmatch(config, -1) {
		im.reserved[string(match[1])] = true
	}
	sections := membersOf(doc.Content[0])
	im.timeouts(sections)
	list, _ := find(sections, "model_list")
	for _, node := range elements(list.value) {
		im.reserve(resolved(node))
	}
	for _, node := range elements(list.value) {
		im.deployment(resolved(node))
	}
	for _, m := range im.models {
		im.weigh(m)
	}
	for _, section := range sections {
		switch section.name {
		case "model_list":
		case "router_settings", "litellm_settings", "general_settings":
			im.settings(section.name, section.value)
		case "environment_variables":
			im.notes.add(section.line, "environment_variables is left out: set them where the gateway runs")
		default:
			im.notes.add(section.line, "%s has no counterpart and is left out", section.name)
		}
	}
	if len(im.models) == 0 {
		return nil, im.notes.String(), fmt.Errorf("reading %s: no model could be carried over", name)
	}
	slices.SortStableFunc(im.notes.list, func(a, b note) int { return a.line - b.line })
	for _, v := range im.variables {
		im.notes.list = append(im.notes.list, note{0, "set " + v.name + ": " + v.what})
	}
	caddyfile, err = im.caddyfile()
	return caddyfile, im.notes.String(), err
}
