package machine

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const recorded = Proc("testdata/proc")

func TestProcessIsReadPastAnyName(t *testing.T) {
	for stat, want := range map[string]Process{
		"7 (caddy) S 3 7 7 0 -1 0 0 0 0 0 11 22 33 44 20":     {ID: 7, Parent: 3, Name: "caddy", CPU: 330 * time.Millisecond, Reaped: 770 * time.Millisecond},
		"7 (a) S 9 (b c) R 3 7 7 0 -1 0 0 0 0 0 100 0 0 0 20": {ID: 7, Parent: 3, Name: "a) S 9 (b c", CPU: time.Second},
		"7 (caddy) S 3 7 7 0 -1 0 0 0 0 0 11 22":              {},
		"7 (caddy) S 3 7 7 0 -1 0 0 0 0 0 x 22 33 44 20":      {},
		"7 caddy S 3 7 7 0 -1 0 0 0 0 0 11 22 33 44 20":       {},
		"": {},
		"x (caddy) S 3 7 7 0 -1 0 0 0 0 0 11 22 33 44 20": {},
	} {
		got, err := parseProcess([]byte(stat))
		if (err != nil) != (want == Process{}) || err == nil && got != want {
			t.Errorf("%q: %+v, %v; want %+v", stat, got, err, want)
		}
	}
}

func TestCPUIsThatOfAProcessAndItsDescendants(t *testing.T) {
	for root, want := range map[int]time.Duration{40: 19100 * time.Millisecond, 41: 15100 * time.Millisecond, 42: 100 * time.Millisecond} {
		if got, err := recorded.CPU(root); err != nil || got != want {
			t.Errorf("process %d: %s, %v; want %s", root, got, err, want)
		}
	}
}

func TestResidentMemoryIsThatOfAProcessAndItsDescendants(t *testing.T) {
	if got, err := recorded.Resident(41); err != nil || got != 61440<<10+1024<<10 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := recorded.Resident(99); err == nil {
		t.Error("a process that is not there has memory")
	}
}

func TestResidentMemoryOfThisProcessIsBelievable(t *testing.T) {
	ballast := make([]byte, 64<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	got, err := System.Resident(os.Getpid())
	if err != nil || got < 64<<20 || got > 16<<30 {
		t.Errorf("%d, %v", got, err)
	}
	if ballast[len(ballast)-1] != 1 {
		t.Fatal("the ballast is gone")
	}
}

func TestOthersAreWhateverIsNotOurs(t *testing.T) {
	now, err := recorded.read(40)
	if err != nil {
		t.Fatal(err)
	}
	want := reading{
		ours: (400 + 30 + 1500 + 10) * Tick, theirs: (80 + 500 + 100 + 10) * Tick,
		busy: 3510 * Tick, stolen: 25 * Tick,
	}
	if now != want {
		t.Errorf("%+v, want %+v", now, want)
	}
	for _, c := range []struct {
		name string
		used reading
		want time.Duration
	}{
		{"another process", reading{ours: 10 * time.Second, theirs: 2 * time.Second, busy: 12 * time.Second}, 2 * time.Second},
		{"one in another container", reading{ours: 10 * time.Second, busy: 13 * time.Second}, 3 * time.Second},
		{"the hypervisor", reading{ours: 10 * time.Second, busy: 10 * time.Second, stolen: time.Second}, time.Second},
		{"interrupts that are billed to us alone", reading{ours: 11 * time.Second, busy: 10 * time.Second}, 0},
	} {
		if got := c.used.others(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestHoldersOfAPortAreThoseThatListen(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(string(recorded))); err != nil {
		t.Fatal(err)
	}
	for pid, inode := range map[int]string{41: "5001", 42: "5002", 43: "5004"} {
		fd := filepath.Join(dir, strconv.Itoa(pid), "fd")
		if err := os.Mkdir(fd, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, target := range []string{"socket:[5003]", "/dev/null", "socket:[" + inode + "]"} {
			if err := os.Symlink(target, filepath.Join(fd, strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for port, want := range map[int][]int{8080: {41}, 8081: {42, 43}, 8082: nil} {
		holders, err := Proc(dir).Holders(port)
		slices.Sort(holders)
		if err != nil || !slices.Equal(holders, want) {
			t.Errorf("port %d: %v, %v; want %v", port, holders, err, want)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "43", "fd")); err != nil {
		t.Fatal(err)
	}
	holders, err := Proc(dir).Holders(8081)
	slices.Sort(holders)
	if err != nil || !slices.Equal(holders, []int{0, 42}) {
		t.Errorf("a holder that cannot be seen: %v, %v", holders, err)
	}
}

func TestDescriptionNamesProcessorMemoryAndKernel(t *testing.T) {
	got := recorded.Describe()
	if !strings.HasPrefix(got, "2 × Slow(R) Processor, 16000000 kB of memory, ") {
		t.Error(got)
	}
}
