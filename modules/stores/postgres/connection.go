package postgres

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Defaults of a connection URL.
const (
	// maxConnections bounds the pool. Lookups are short and rarely many: a Keyring stands before us.
	maxConnections = 8
	// connectTimeout bounds one attempt at one address; the name's resolution, TLS and login included.
	connectTimeout = 2 * time.Second
	// statementTimeout is how long the server works on a statement, waiting for locks included.
	statementTimeout = callTimeout
	// abandonedTimeout is how long the server keeps the locks of a gateway that vanished within a transaction.
	abandonedTimeout = 10 * time.Second

	applicationName = "caddy-llm"
)

// errURL says nothing of the URL or of the reason. Where a password holds a character that it should not, no parser
// can tell which part of the text is the password.
var errURL = errors.New("reading the database URL: it must look like postgres://user:password@host:5432/database?sslmode=verify-full, " +
	"with each special character of the password percent-encoded (it is not shown here, since it may hold one)")

// parseURL reads a connection URL and completes it with our defaults. It opens no connection, but may read the
// certificates and the password file that the URL or libpq's environment variables name.
func parseURL(url string) (*pgxpool.Config, error) {
	// The rest would be dropped, and a piece of a password taken for the port.
	if isURL := strings.Contains(url, "://"); isURL && strings.Contains(url, "#") {
		return nil, errURL
	}
	given, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, urlError(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, urlError(err)
	}
	if given.RuntimeParams["pool_max_conns"] == "" {
		config.MaxConns = maxConnections
	}
	if config.PingTimeout == 0 {
		config.PingTimeout = connectTimeout
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(abandonedTimeout),
	} {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// urlError names the file that could not be read, and nothing else.
func urlError(err error) error {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return fmt.Errorf("reading the database URL: %w", file)
	}
	return errURL
}

// unreachable tells a server that is away, starting, ending or full from one that answers and refuses, as for a wrong password or a
// schema that is not ours.
func unreachable(err error) bool {
	if said := (*pgconn.PgError)(nil); errors.As(err, &said) {
		switch said.Code {
		case codeStarting, codeEnding, codeCrashing, codeFull:
			return true
		}
		return false
	}
	var network net.Error // a context that is over is one, too
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// classify marks the error of a server that is out of reach.
func classify(err error) error {
	if unreachable(err) {
		return fmt.Errorf("%w: %w", gateway.ErrUnreachable, err)
	}
	return err
}

// What a server says that cannot take a connection now, from PostgreSQL's appendix A.
const (
	codeStarting = "57P03" // cannot_connect_now
	codeEnding   = "57P01" // admin_shutdown
	codeCrashing = "57P02" // crash_shutdown
	codeFull     = "53300" // too_many_connections
)

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
