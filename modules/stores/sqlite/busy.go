package sqlite

import (
	"context"
	"errors"
	"time"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

const busyPause = 10 * time.Millisecond

// retryBusy repeats do while another process is in its way, for as long as one statement may wait. SQLite waits
// by itself for most locks, but gives up at once where two connections both want to change the journal mode, and
// where waiting would be a deadlock.
func retryBusy(ctx context.Context, do func() error) error {
	until := time.Now().Add(busyTimeout)
	for {
		err := do()
		if !isBusy(err) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isBusy(err error) bool {
	var failure *sqlite.Error
	// The low byte is the kind of failure, the rest a detail of it: https://sqlite.org/rescode.html
	return errors.As(err, &failure) && failure.Code()&0xff == codes.SQLITE_BUSY
}
