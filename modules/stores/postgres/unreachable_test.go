package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestAServerThatAnswersAndRefusesIsNotOutOfReach(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{context.DeadlineExceeded, true},
		{io.ErrUnexpectedEOF, true},
		{&pgconn.PgError{Code: "57P03"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "28P01"}, false}, // a wrong password
		{&pgconn.PgError{Code: "42501"}, false}, // a right that is missing
		{errors.New("the schema is newer"), false},
	} {
		if got := unreachable(fmt.Errorf("connecting: %w", c.err)); got != c.want {
			t.Errorf("%v: %t, want %t", c.err, got, c.want)
		}
	}
}

func TestAStoreWithoutItsServerIsOutOfReach(t *testing.T) {
	store, err := New("postgres://gateway@127.0.0.1:1/test")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); !errors.Is(err, gateway.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
