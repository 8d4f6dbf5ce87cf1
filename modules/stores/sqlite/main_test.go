package sqlite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// creatorPath makes the test binary another process: it creates keys in the file that the variable names.
const creatorPath = "SQLITE_TEST_CREATOR_PATH"

const keysPerProcess = 5

func TestMain(m *testing.M) {
	if path := os.Getenv(creatorPath); path != "" {
		if err := createKeys(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func createKeys(path string) error {
	store := New(path)
	defer store.Close()
	for range keysPerProcess {
		key := &gateway.Key{ID: gateway.NewSecret("key_"), Active: true, Created: time.Now()}
		if err := store.CreateKey(context.Background(), key, newHash()); err != nil {
			return err
		}
	}
	return store.Close()
}

func newHash() gateway.KeyHash { return gateway.HashKey(gateway.NewSecret(gateway.KeyPrefix)) }

func TestProcessesShareANewFile(t *testing.T) {
	const processes = 6
	path := filepath.Join(t.TempDir(), "keys", "keys.db")
	commands := make([]*exec.Cmd, processes)
	for i := range commands {
		commands[i] = exec.CommandContext(t.Context(), os.Args[0])
		commands[i].Env = append(os.Environ(), creatorPath+"="+path)
		commands[i].Stderr = os.Stderr
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range commands {
		if err := command.Wait(); err != nil {
			t.Errorf("creating keys in another process: %v", err)
		}
	}

	store := openStore(t, path)
	if count, err := store.CountKeys(t.Context()); err != nil || count != processes*keysPerProcess {
		t.Errorf("got %d keys and error %v, want %d", count, err, processes*keysPerProcess)
	}
	var verdict string
	if err := handles(t, store).read.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %q, %v", verdict, err)
	}
}
