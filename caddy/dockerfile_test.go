package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile's, with its words.
type instruction struct {
	name string
	args []string
}

// dockerfile is the repository's, by its stages. What stands before the first FROM is a stage too.
func dockerfile(t *testing.T) [][]instruction {
	t.Helper()
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, "../Dockerfile"), "")
	stages := [][]instruction{nil}
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "FROM" {
			stages = append(stages, nil)
		}
		last := &stages[len(stages)-1]
		*last = append(*last, instruction{words[0], words[1:]})
	}
	if len(stages) != 3 {
		t.Fatalf("there are %d stages", len(stages)-1)
	}
	return stages
}

// only is the one instruction of a name.
func only(t *testing.T, stage []instruction, name string) string {
	t.Helper()
	var found []string
	for _, i := range stage {
		if i.name == name {
			found = append(found, strings.Join(i.args, " "))
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d of %s", len(found), name)
	}
	return found[0]
}

func TestImageHoldsNothingButTheGateway(t *testing.T) {
	final := dockerfile(t)[2]
	if got := only(t, final, "FROM"); got != "scratch" {
		t.Errorf("it begins with %s", got)
	}
	if got := only(t, final, "COPY"); got != "--from=build /out /" {
		t.Errorf("it gets %s", got)
	}
	for _, i := range final {
		if slices.Contains([]string{"RUN", "ADD", "ARG"}, i.name) {
			t.Errorf("the final stage has %s", i.name)
		}
	}
}

func TestImageRunsWithoutRoot(t *testing.T) {
	stages := dockerfile(t)
	user := only(t, stages[2], "USER")
	if !regexp.MustCompile(`^[1-9][0-9]{3,}:[1-9][0-9]{3,}$`).MatchString(user) {
		t.Fatalf("it runs as %q: a number is what Kubernetes can check", user)
	}
	if got := loadStack(t).Services["api-server"].User; got != user {
		t.Errorf("docker-compose.yml runs it as %s, the image as %s", got, user)
	}
	data := only(t, stages[2], "VOLUME")
	id, _, _ := strings.Cut(user, ":")
	owned := regexp.MustCompile(fmt.Sprintf(`install -d -m 0700 -o %[1]s -g %[1]s /out%[2]s\b`, id, data))
	if !slices.ContainsFunc(stages[1], func(i instruction) bool { return owned.MatchString(strings.Join(i.args, " ")) }) {
		t.Errorf("%s does not belong to %s", data, user)
	}
}

func TestImageIsStaticAndBuiltByTheToolchainOfGoMod(t *testing.T) {
	stages := dockerfile(t)
	if !slices.ContainsFunc(stages[1], func(i instruction) bool {
		return i.name == "RUN" && slices.Contains(i.args, "CGO_ENABLED=0") && slices.Contains(i.args, "build")
	}) {
		t.Error("the binary is not built without cgo")
	}
	minor := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindStringSubmatch(read(t, "../go.mod"))[1]
	image := only(t, stages[0], "ARG")
	if !regexp.MustCompile(`^GO_IMAGE=golang:` + regexp.QuoteMeta(minor) + `\.[0-9]+-`).MatchString(image) {
		t.Errorf("go.mod has Go %s, the image is built with %s", minor, image)
	}
	if got := loadStack(t).Services["api-server"].Build.Args["GO_IMAGE"]; got == nil || "GO_IMAGE="+*got != image {
		t.Errorf("docker-compose.yml builds with %v, the Dockerfile with %s", got, image)
	}
}

func TestImageChecksItsOwnHealth(t *testing.T) {
	final := dockerfile(t)[2]
	if got := only(t, final, "HEALTHCHECK"); !strings.HasSuffix(got, `CMD ["caddy", "llm", "health"]`) {
		t.Errorf("its health check is %s", got)
	}
	if got := strings.Join(loadStack(t).Services["api-server"].HealthCheck.Test, " "); got != "CMD caddy llm health" {
		t.Errorf("docker-compose.yml checks with %s", got)
	}
	// No shell is there to run anything else.
	for _, i := range final {
		if i.name == "CMD" && !strings.HasPrefix(i.args[0], "[") {
			t.Errorf("CMD %s needs a shell", strings.Join(i.args, " "))
		}
	}
}

// .dockerignore leaves everything out and lets in what is copied; a new source that it does not know would be missing.
func TestImageIsBuiltFromWhatDockerignoreLetsIn(t *testing.T) {
	var allowed []string
	first := ""
	for line := range strings.Lines(read(t, "../.dockerignore")) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case first == "":
			first = line
		case line[0] == '!':
			allowed = append(allowed, line[1:])
		}
	}
	if first != "*" {
		t.Errorf(".dockerignore begins with %q, so it does not leave everything out", first)
	}
	var copied []string
	for _, i := range dockerfile(t)[1] {
		if i.name == "COPY" {
			copied = append(copied, i.args[:len(i.args)-1]...)
		}
	}
	slices.Sort(copied)
	slices.Sort(allowed)
	if !slices.Equal(copied, allowed) {
		t.Errorf("copied are %q, let in are %q", copied, allowed)
	}
	for _, source := range copied {
		if _, err := os.Stat(filepath.Join("..", source)); err != nil {
			t.Error(err)
		}
	}
}

// What `caddy llm keys` and `caddy reload` find in the current directory is what the gateway runs.
func TestImageWorksWhereItsConfigIs(t *testing.T) {
	final := dockerfile(t)[2]
	config := path.Join(only(t, final, "WORKDIR"), "Caddyfile")
	if !strings.Contains(only(t, final, "CMD"), `"--config", "`+config+`"`) {
		t.Errorf("it does not run %s", config)
	}
	for _, mount := range loadStack(t).Services["api-server"].Volumes {
		if strings.HasSuffix(mount.Source, "compose.Caddyfile") && mount.Target != config {
			t.Errorf("docker-compose.yml mounts its config at %s, not %s", mount.Target, config)
		}
	}
}
