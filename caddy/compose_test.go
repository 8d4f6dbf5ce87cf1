package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile = "../docker-compose.yml"

// envFile is a .env as `make env` writes it.
func envFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".env")
	if out, err := exec.Command("../scripts/env.sh", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// stack is docker-compose.yml with all its profiles, as `docker compose` understands it.
func stack(t *testing.T, variables ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{composeFile}, cli.WithEnv(variables), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// assignments are the lines NAME=value of an env file.
func assignments(t *testing.T, file string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(read(t, file)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			found = append(found, line)
		}
	}
	return found
}

// read is a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func loadStack(t *testing.T) *types.Project {
	t.Helper()
	project, err := stack(t, assignments(t, envFile(t))...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeServicesAreLockedDown(t *testing.T) {
	for name, service := range loadStack(t).Services {
		check := func(ok bool, what string) {
			t.Helper()
			if !ok {
				t.Errorf("%s %s", name, what)
			}
		}
		user, _, _ := strings.Cut(service.User, ":")
		check(user != "" && user != "0" && user != "root", "may run as root")
		check(service.ReadOnly, "can write to its root file system")
		check(slices.Equal(service.CapDrop, []string{"ALL"}) && len(service.CapAdd) == 0 && !service.Privileged, "keeps capabilities")
		check(slices.Contains(service.SecurityOpt, "no-new-privileges:true"), "may gain privileges")
		check(service.NetworkMode == "" && service.Pid == "" && service.Ipc == "", "shares something with the host")
		check(service.MemLimit > 0, "has no memory limit")
		check(service.PidsLimit > 0, "may start any number of processes")
		check(service.HealthCheck != nil && !service.HealthCheck.Disable && len(service.HealthCheck.Test) > 1, "has no health check")
		check(service.Logging != nil && service.Logging.Options["max-size"] != "", "may fill the disk with its log")
		for _, mount := range service.Volumes {
			check(mount.Type != types.VolumeTypeBind || mount.ReadOnly, "can write to "+mount.Source)
			check(!strings.HasSuffix(mount.Source, "docker.sock"), "may talk to Docker")
		}
	}
}

func TestComposeImagesArePinned(t *testing.T) {
	project := loadStack(t)
	tag := regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9.]+)?$`)
	for name, service := range project.Services {
		if service.Build == nil && !tag.MatchString(service.Image) {
			t.Errorf("%s runs %s, which is no pinned version", name, service.Image)
		}
	}
	if locust := project.Services["locust"].Image; !strings.Contains(read(t, "../load_tests/requirements.txt"), "locust=="+strings.TrimPrefix(locust, "locustio/locust:")+"\n") {
		t.Errorf("load_tests/requirements.txt does not pin the Locust of %s", locust)
	}
	digest := "example.com/redis@sha256:" + strings.Repeat("0", 64)
	other, err := stack(t, append(assignments(t, envFile(t)), "REDIS_IMAGE="+digest)...)
	if err != nil {
		t.Fatal(err)
	}
	if got := other.Services["redis"].Image; got != digest {
		t.Errorf("REDIS_IMAGE by its digest gives %s", got)
	}
}

func TestComposePublishesTheDocumentedPortsOnThisMachineAlone(t *testing.T) {
	got := map[string]string{}
	for name, service := range loadStack(t).Services {
		for _, port := range service.Ports {
			got[name] += fmt.Sprintf("%s:%s:%d", port.HostIP, port.Published, port.Target)
		}
	}
	want := map[string]string{
		"api-server":   "127.0.0.1:8000:8000",
		"redis":        "127.0.0.1:6379:6379",
		"prometheus":   "127.0.0.1:9090:9090",
		"alertmanager": "127.0.0.1:9093:9093",
		"grafana":      "127.0.0.1:3000:3000",
		"locust":       "127.0.0.1:8089:8089",
	}
	if !maps.Equal(got, want) {
		t.Errorf("published are %v, not %v", got, want)
	}
}

// The guide for load tests asks for `docker logs api-server`, and nobody wants Locust to run all the time.
func TestComposeNamesWhatTheDocumentationNames(t *testing.T) {
	services := loadStack(t).Services
	if got := services["api-server"].ContainerName; got != "api-server" {
		t.Errorf("the gateway's container is called %q", got)
	}
	for name, service := range services {
		var want []string
		if name == "locust" {
			want = []string{"load"}
		}
		if !slices.Equal(service.Profiles, want) {
			t.Errorf("%s has the profiles %q", name, service.Profiles)
		}
	}
}

func TestComposeStartsServicesOnceWhatTheyNeedIsHealthy(t *testing.T) {
	services := loadStack(t).Services
	for name, needs := range map[string][]string{"api-server": {"postgres", "redis"}, "grafana": {"prometheus"}, "locust": {"api-server"}} {
		if got := slices.Sorted(maps.Keys(services[name].DependsOn)); !slices.Equal(got, needs) {
			t.Errorf("%s waits for %q, not %q", name, got, needs)
		}
	}
	for name, service := range services {
		for other, needed := range service.DependsOn {
			if needed.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits until %s is %s", name, other, needed.Condition)
			}
		}
	}
}

// What watches the gateway reaches it, and not its stores.
func TestComposeKeepsStoresApart(t *testing.T) {
	services := loadStack(t).Services
	for name, want := range map[string][]string{"api-server": {"monitoring", "stores"}, "redis": {"stores"}, "postgres": {"stores"}} {
		if got := slices.Sorted(maps.Keys(services[name].Networks)); !slices.Equal(got, want) {
			t.Errorf("%s is in %q, not %q", name, got, want)
		}
	}
	for _, name := range []string{"prometheus", "alertmanager", "grafana", "locust"} {
		if _, there := services[name].Networks["stores"]; there || len(services[name].Networks) == 0 {
			t.Errorf("%s is in the networks %v", name, services[name].Networks)
		}
	}
}

// Docker makes an empty directory of a path that is missing.
func TestComposeMountsWhatIsThere(t *testing.T) {
	project := loadStack(t)
	mounts := 0
	for name, service := range project.Services {
		for _, mount := range service.Volumes {
			switch mount.Type {
			case types.VolumeTypeBind:
				mounts++
				if _, err := os.Stat(mount.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", name, err)
				}
			case types.VolumeTypeVolume:
				if _, named := project.Volumes[mount.Source]; !named {
					t.Errorf("%s keeps %s in a volume without a name, which is lost with it", name, mount.Target)
				}
			}
		}
	}
	if mounts < 5 {
		t.Errorf("only %d paths are mounted", mounts)
	}
}

// An eviction would take a limit's window, and its count would silently begin anew.
func TestComposeRedisEvictsNothing(t *testing.T) {
	redis := loadStack(t).Services["redis"]
	command := strings.Join(redis.Command, " ")
	if !strings.Contains(command, "--maxmemory-policy noeviction") {
		t.Errorf("Redis runs as %q", command)
	}
	at := slices.Index(redis.Command, "--maxmemory")
	if at < 0 {
		t.Fatalf("Redis has no limit of its own: %q", command)
	}
	var own types.UnitBytes
	if err := own.DecodeMapstructure(redis.Command[at+1]); err != nil || own == 0 || redis.MemLimit < 2*own {
		t.Errorf("Redis keeps up to %s (%v) in a container of %d bytes, and rewriting its file may take as much again", redis.Command[at+1], err, redis.MemLimit)
	}
}

// Docker kills what has not ended after its grace period, so the gateway's own has to be over by then.
func TestComposeLetsTheGatewayEndItsCalls(t *testing.T) {
	found := regexp.MustCompile(`\tgrace_period (\S+)`).FindStringSubmatch(read(t, "compose.Caddyfile"))
	if found == nil {
		t.Fatal("compose.Caddyfile has no grace_period")
	}
	own, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	service := loadStack(t).Services["api-server"]
	if docker := service.StopGracePeriod; docker == nil || time.Duration(*docker) < own+5*time.Second {
		t.Errorf("Docker waits %v for a gateway that waits %s for its calls", docker, own)
	}
}

var secretName = regexp.MustCompile(`PASSWORD|SECRET|TOKEN|_KEY$`)

func TestComposeHoldsNoSecret(t *testing.T) {
	// A reference that says what to do where there is no value, and has no default.
	given := regexp.MustCompile(`^\$\{[A-Z_]+:\?run make env\}$`)
	options, err := cli.NewProjectOptions([]string{composeFile}, cli.WithInterpolation(false), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	model, err := options.LoadModel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, service := range model["services"].(map[string]any) {
		variables, _ := service.(map[string]any)["environment"].(map[string]any)
		for variable, value := range variables {
			if !secretName.MatchString(variable) {
				continue
			}
			seen++
			if text, set := value.(string); set && !given.MatchString(text) {
				t.Errorf("%s of %s is %q", variable, name, text)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d variables look like secrets", seen)
	}
	url := regexp.MustCompile(`://[^/@\s:]*:([^/@\s]+)@`)
	for _, file := range []string{composeFile, "compose.Caddyfile", "../.env.example", "../Dockerfile"} {
		text := read(t, file)
		for _, found := range url.FindAllStringSubmatch(strings.ReplaceAll(text, ":?run make env}", ":?}"), -1) {
			if !strings.HasPrefix(found[1], "${") {
				t.Errorf("%s has a password in a URL", file)
			}
		}
		if regexp.MustCompile(`\b(s[pak][-_][0-9A-Za-z]{8,})`).MatchString(text) {
			t.Errorf("%s has what looks like a key", file)
		}
	}
}

func TestComposeSaysWhatToDoWithoutSecrets(t *testing.T) {
	all := assignments(t, envFile(t))
	for i, assignment := range all {
		name, value, _ := strings.Cut(assignment, "=")
		for _, without := range [][]string{slices.Delete(slices.Clone(all), i, i+1), append(slices.Delete(slices.Clone(all), i, i+1), name+"=")} {
			_, err := stack(t, without...)
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "run make env") || strings.Contains(err.Error(), value) {
				t.Errorf("without %s: error %v", name, err)
			}
		}
	}
}

func TestEnvExampleHasEveryVariableWithItsDefault(t *testing.T) {
	documented := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=(.*)$`).FindAllStringSubmatch(read(t, "../.env.example"), -1) {
		documented[found[1]] = found[2]
	}
	text := read(t, composeFile)
	used := map[string]bool{}
	for _, found := range regexp.MustCompile(`\$\{([A-Z_]+)(?::-([^}]*))?`).FindAllStringSubmatch(text, -1) {
		name, fallback := found[1], found[2]
		used[name] = true
		if name == "VERSION" { // what is built, which nobody chooses
			continue
		}
		if shown, there := documented[name]; !there || fallback != "" && shown != fallback {
			t.Errorf(".env.example has %s=%s where docker-compose.yml has %q", name, shown, fallback)
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^      ([A-Z_]+):$`).FindAllStringSubmatch(text, -1) {
		used[found[1]] = true
	}
	for name := range documented {
		if !used[name] {
			t.Errorf(".env.example has %s, which docker-compose.yml does not use", name)
		}
	}
}

func TestEnvScriptMakesFreshSecretsAndKeepsAFileThatIsThere(t *testing.T) {
	file := envFile(t)
	for _, assignment := range assignments(t, file) {
		name, value, _ := strings.Cut(assignment, "=")
		if len(value) < 24 || strings.Contains(read(t, "../.env.example"), value) {
			t.Errorf("%s is not random", name)
		}
		if strings.Contains(read(t, envFile(t)), value) {
			t.Errorf("%s is the same in two files", name)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	if !strings.Contains(read(t, "../.gitignore"), "/.env\n") {
		t.Error("git does not ignore .env")
	}
	before := read(t, file)
	out, err := exec.Command("../scripts/env.sh", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "is there already") || read(t, file) != before {
		t.Errorf("a second run (%v) says %q and changes: %t", err, out, read(t, file) != before)
	}
}
