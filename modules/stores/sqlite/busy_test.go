package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// busyError provokes the error of a database that somebody else has locked.
func busyError(t *testing.T) error {
	t.Helper()
	store := newStore(t)
	lock, err := handles(t, store).write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback()
	impatient, err := sql.Open("sqlite", store.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	_, err = impatient.ExecContext(t.Context(), `DELETE FROM keys`)
	if !isBusy(err) {
		t.Fatalf("got error %v from a locked database", err)
	}
	return fmt.Errorf("deleting keys: %w", err)
}

func TestBusyFileIsTriedAgain(t *testing.T) {
	busy, other := busyError(t), errors.New("disk on fire")
	for name, test := range map[string]struct {
		answers   []error // the last one repeats
		cancelled bool
		want      error
		tries     int
	}{
		"at once":           {[]error{nil}, false, nil, 1},
		"busy twice":        {[]error{busy, busy, nil}, false, nil, 3},
		"busy, then broken": {[]error{busy, other}, false, other, 2},
		"busy for ever":     {[]error{busy}, false, busy, int(busyTimeout/busyPause) + 2},
		"cancelled":         {[]error{busy}, true, context.Canceled, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancelled {
					cancel()
				}
				start, tries := time.Now(), 0
				err := retryBusy(ctx, func() error {
					tries++
					return test.answers[min(tries, len(test.answers))-1]
				})
				if !errors.Is(err, test.want) || tries != test.tries {
					t.Errorf("got error %v after %d tries, want %v after %d", err, tries, test.want, test.tries)
				}
				if waited := time.Since(start); waited > busyTimeout+busyPause {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// A transaction that reads before it writes would fail where another process wrote in between.
func TestTransactionsTakeTheWriteLockAsTheyBegin(t *testing.T) {
	store := newStore(t)
	lock, err := handles(t, store).write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := handles(t, openStore(t, store.Path())).write
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := other.BeginTx(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded", err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	next, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Rollback(); err != nil {
		t.Error(err)
	}
}
