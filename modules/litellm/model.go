package litellm

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.yaml.in/yaml/v3"
)

// provider is one account that deployments of the config share.
type provider struct {
	name, module, base, key string
	options                 string // more of them, as lines of a Caddyfile
	firstToken              time.Duration
}

// model is what LiteLLM calls a model group.
type model struct {
	name      string
	line      int
	aliases   []string
	targets   []target
	fallbacks []string // <provider>/<model>
}

// target is one deployment of a group.
type target struct {
	place            string // <provider>/<model>
	weight, rpm, tpm int
}

// deployment reads one element of model_list.
func (im *importer) deployment(node *yaml.Node) {
	members := membersOf(node)
	name, _ := find(members, "model_name")
	params, ok := find(members, "litellm_params")
	if name.text() == "" || !ok || !writable(name.text()) {
		im.notes.add(node.Line, "a deployment needs model_name and litellm_params; it is left out")
		return
	}
	for _, m := range members {
		switch m.name {
		case "model_name", "litellm_params":
		case "model_info":
			im.notes.add(m.line, "%s: model_info is not needed and left out", name.text())
		default:
			im.notes.add(m.line, "%s: %s has no counterpart and is left out", name.text(), m.name)
		}
	}
	t, ok := im.target(name, membersOf(params.value))
	if !ok {
		return
	}
	group := im.group(name.text())
	if group == nil {
		group = &model{name: name.text(), line: name.line}
		im.models = append(im.models, group)
	}
	group.targets = append(group.targets, t)
}

func (im *importer) group(name string) *model {
	for _, m := range im.models {
		if m.name == name {
			return m
		}
	}
	return nil
}

// target reads a deployment's litellm_params. It is false where the deployment is left out, which a note then says.
func (im *importer) target(name member, params []member) (target, bool) {
	var t target
	p := provider{firstToken: im.timeout}
	full, _ := find(params, "model")
	custom, _ := find(params, "custom_llm_provider")
	prefix, own := split(full.text(), custom.text())
	v, ok := vendors[prefix]
	if ok && v.place != nil {
		var at place
		at, ok = v.place(own)
		own, p.options = at.model, at.options
	}
	if _, err := caddy.GetModule("llm_gateway.providers." + v.module); !ok || err != nil {
		im.notes.add(cmp.Or(full.line, name.line), "%s: the model %q is left out: this gateway cannot ask its provider by itself; add a provider and a target for it", name.text(), full.text())
		return t, false
	}
	if !im.fits(name, full, own) {
		return t, false
	}
	base, _ := find(params, "api_base")
	for _, other := range []string{"base_url", runtimeEndpoint} {
		if base.value == nil {
			base, _ = find(params, other)
		}
	}
	if p.base, ok = im.base(name, base, v); !ok {
		return t, false
	}
	p.module = v.module
	rest := im.cloud(name, prefix, &p, params)
	if key, _ := find(params, "api_key"); key.text() != "" || !p.says("token") {
		p.key = im.credential(key, prefix, v)
	}
	for _, m := range rest {
		switch m.name {
		case "model", "custom_llm_provider", "api_base", "base_url", runtimeEndpoint, "api_key":
		case "weight":
			t.weight = im.count(name, m)
		case "rpm":
			t.rpm = im.count(name, m)
		case "tpm":
			t.tpm = im.count(name, m)
		case "timeout", "stream_timeout":
			if d := im.seconds(m); d > 0 && (m.name == "stream_timeout" || p.firstToken == im.timeout) {
				p.firstToken = d
			}
		default:
			im.notes.add(m.line, "%s: %s has no counterpart and is left out; calls say it themselves", name.text(), m.name)
		}
	}
	t.place = im.provide(prefix, p) + "/" + own
	return t, true
}

// fits tells whether the stars of a deployment's model mean something here.
func (im *importer) fits(name, full member, own string) bool {
	stars, have := strings.Count(own, "*"), strings.Count(name.text(), "*")
	switch {
	case own == "" || !writable(own) || strings.Contains(name.text(), "**") || have > 8:
		im.notes.add(full.line, "%s: the model %q is left out: it names no model", name.text(), full.text())
	case stars > have:
		im.notes.add(full.line, "%s: the model %q is left out: nothing says what its star stands for", name.text(), full.text())
	default:
		prefix, _, _ := strings.Cut(name.text(), "*")
		if own == "*" && !strings.HasSuffix(prefix, "/") && prefix != "" {
			im.notes.add(full.line, "%s: the provider is sent the client's whole name, of which LiteLLM sends what the star stands for", name.text())
		}
		return true
	}
	return false
}

func (im *importer) base(name, base member, v vendor) (string, bool) {
	text := base.text()
	if variable, ok := strings.CutPrefix(text, environ); ok {
		im.variable(variable, "the address of "+name.text())
		return v.address("{env." + variable + "}"), true
	}
	if text == "" && v.hosted {
		im.notes.add(name.line, "%s is left out: its api_base is missing", name.text())
		return "", false
	}
	if u, err := url.Parse(text); err != nil || u.User != nil || u.RawQuery != "" || !writable(text) {
		im.notes.add(base.line, "%s is left out: its api_base is no plain address; a credential belongs into api_key", name.text())
		return "", false
	}
	return v.address(text), true
}

// environ begins a value that LiteLLM takes from the environment.
const environ = "os.environ/"

// reserve keeps a vendor's own variable for a deployment that names no credential, so that no other account's is put into it.
func (im *importer) reserve(deployment *yaml.Node) {
	section, _ := find(membersOf(deployment), "litellm_params")
	params := membersOf(section.value)
	if key, _ := find(params, "api_key"); key.text() != "" {
		return
	}
	model, _ := find(params, "model")
	custom, _ := find(params, "custom_llm_provider")
	prefix, _ := split(model.text(), custom.text())
	if v, ok := vendors[prefix]; ok && v.key != "" {
		im.reserved[v.key] = true
	}
}

// credential is a placeholder. A literal one never gets into the Caddyfile.
func (im *importer) credential(key member, prefix string, v vendor) string {
	text := key.text()
	if variable, ok := strings.CutPrefix(text, environ); ok {
		im.variable(variable, "the credential of "+prefix)
		return "{env." + variable + "}"
	}
	switch {
	case text == "" && v.key == "", v.key == "" && slices.Contains([]string{"none", "fake", "dummy", "not-needed", "fake-key"}, strings.ToLower(text)):
		return ""
	case text == "":
		im.variable(v.key, "the credential of "+prefix)
		return "{env." + v.key + "}"
	}
	variable := im.literal(key, prefix, "API_KEY")
	im.variable(variable, "the credential of "+prefix)
	return "{env." + variable + "}"
}

// literal is the variable that is to hold a secret which stands in the file.
func (im *importer) literal(m member, prefix, what string) string {
	variable, ok := im.literals[m.text()]
	if !ok {
		variable = im.fresh(prefix, what)
		im.literals[m.text()] = variable
	}
	im.notes.add(m.line, "the credential stands in the file itself; it is not copied: set %s to it", variable)
	return variable
}

// fresh is a variable that neither the file nor the Caddyfile has yet.
func (im *importer) fresh(prefix, what string) string {
	stem := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(prefix))
	variable := stem + "_" + what
	for n := 2; im.taken(variable) || im.reserved[variable]; n++ {
		variable = stem + "_" + strconv.Itoa(n) + "_" + what
	}
	return variable
}

// provide gives the name of the provider for an account, which deployments share.
func (im *importer) provide(prefix string, p provider) string {
	for _, known := range im.providers {
		same := p
		same.name = known.name
		if *known == same {
			return known.name
		}
	}
	p.name = prefix
	for n := 2; slices.ContainsFunc(im.providers, func(known *provider) bool { return known.name == p.name }); n++ {
		p.name = prefix + "-" + strconv.Itoa(n)
	}
	im.providers = append(im.providers, &p)
	return p.name
}

func (im *importer) count(name, m member) int {
	n, err := strconv.Atoi(m.text())
	if err != nil || n < 1 || n > 1_000_000_000 {
		im.notes.add(m.line, "%s: %s: %q is no whole number above zero and left out", name.text(), m.name, m.text())
		return 0
	}
	return n
}

// weigh settles the weights of a group: LiteLLM shares calls by weight, else by rpm, else by tpm, where each deployment has one.
func (im *importer) weigh(m *model) {
	shares := make([]int, len(m.targets))
	for _, of := range []func(*target) int{
		func(*target) int { return 1 }, func(t *target) int { return t.tpm }, func(t *target) int { return t.rpm }, func(t *target) int { return t.weight },
	} {
		if slices.ContainsFunc(m.targets, func(t target) bool { return of(&t) == 0 }) {
			continue
		}
		for i := range m.targets {
			shares[i] = of(&m.targets[i])
		}
	}
	divisor, limited := 0, false
	for i, t := range m.targets {
		divisor = common(divisor, shares[i])
		limited = limited || t.rpm > 0 || t.tpm > 0
	}
	scale := slices.Max(shares)/divisor/maxWeight + 1
	for i := range m.targets {
		m.targets[i].weight = max(1, shares[i]/divisor/scale)
	}
	if limited {
		im.notes.add(m.line, "%s: rpm and tpm of a deployment are its share of the calls here, and no limit; keys, teams and llm_rate_limit have limits", m.name)
	}
}

// maxWeight is the largest weight that a target may have.
const maxWeight = 1_000_000

// common is the greatest common divisor.
func common(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
