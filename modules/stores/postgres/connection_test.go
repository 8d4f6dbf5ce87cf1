package postgres

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestConnectionsHaveDefaults(t *testing.T) {
	base := shared.newDatabase(t)
	for name, test := range map[string]struct {
		query       string
		connections int32
		connect     time.Duration
		settings    map[string]string
	}{
		"defaults": {"", maxConnections, connectTimeout, map[string]string{
			"statement_timeout": "5s", "idle_in_transaction_session_timeout": "10s", "application_name": applicationName,
		}},
		"given": {"?pool_max_conns=3&connect_timeout=7&statement_timeout=900&application_name=edge", 3, 7 * time.Second,
			map[string]string{"statement_timeout": "900ms", "application_name": "edge"}},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := New(base + test.query)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			pool, err := store.database(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := pool.Config(); got.MaxConns != test.connections || got.ConnConfig.ConnectTimeout != test.connect {
				t.Errorf("got %d connections and a timeout of %v", got.MaxConns, got.ConnConfig.ConnectTimeout)
			}
			for setting, want := range test.settings {
				var got string
				if err := pool.QueryRow(t.Context(), "SHOW "+setting).Scan(&got); err != nil || got != want {
					t.Errorf("%s: got %q and error %v, want %q", setting, got, err, want)
				}
			}
		})
	}
}

func TestServerThatDoesNotAnswerIsGivenUpQuickly(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	store, err := New(shared.urlAt(mute.Addr().String(), "nothing") + "?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	start := time.Now()
	if err := store.Ping(t.Context()); err == nil {
		t.Error("got no error")
	}
	if took := time.Since(start); took > connectTimeout+time.Second {
		t.Errorf("gave up after %v", took)
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", shared.port)
	wrong := url.UserPassword("gateway", "wr0ng"+password).String()
	refused := map[string]string{
		"wrong password":   "postgres://" + wrong + "@" + address + "/postgres",
		"no such database": shared.url("nothing"),
		"no such host":     shared.urlAt("no-such-host.invalid", "postgres"),
		"nobody listens":   shared.urlAt("127.0.0.1:1", "postgres"),
		"no TLS":           shared.url("postgres") + "?sslmode=require",
	}
	for name, text := range refused {
		t.Run(name, func(t *testing.T) {
			err := openStore(t, text).Ping(t.Context())
			if err == nil {
				t.Fatal("got no error")
			}
			hidesPassword(t, err)
		})
	}

	unreadable := map[string]string{
		"plain characters":   "postgres://gateway:" + password + "@" + address + "/postgres",
		"plain slash":        "postgres://gateway:c4nary/x@" + address + "/postgres",
		"plain percent sign": "postgres://gateway:c4nary%zz@" + address + "/postgres",
		"number sign":        "postgres://gateway:1234#c4nary@" + address + "/postgres",
		"another scheme":     "mysql://gateway:c4nary@" + address + "/postgres",
		"sslmode":            shared.url("postgres") + "?sslmode=c4nary",
		"connection bound":   shared.url("postgres") + "?pool_max_conns=c4nary",
		"no URL":             "c4nary",
	}
	for name, text := range unreadable {
		t.Run(name, func(t *testing.T) {
			store, err := New(text)
			if err == nil {
				store.Close()
				t.Fatal("got no error")
			}
			hidesPassword(t, err)
			if !strings.Contains(err.Error(), "postgres://user:password@host") {
				t.Errorf("error %q does not say what a URL looks like", err)
			}
		})
	}

	_, err := New(shared.url("postgres") + "?sslmode=verify-full&sslrootcert=/nothing/root.crt")
	if err == nil || !strings.Contains(err.Error(), "/nothing/root.crt") {
		t.Fatalf("got error %v, want one that names the missing file", err)
	}
	hidesPassword(t, err)
}

func hidesPassword(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{"c4nary", "wr0ng", "1234", "%zz"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("error %q holds %q", err, part)
		}
	}
}
