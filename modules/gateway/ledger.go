package gateway

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// UsageRow sums up what one key used of one model within one minute.
type UsageRow struct {
	Minute   time.Time // UTC
	KeyID    string    // "" where a call had no key
	Team     string
	Surface  string
	Provider string // "" where nobody was asked
	Model    string // the name that the client asked for, where the config knows it, else "_other"

	Calls     int64 // all of them, the failed and the cached ones too
	Failures  int64 // answered with a status from 400
	CacheHits int64 // answered without a call upstream
	Usage     dialect.Usage
}

// CallRow is one call in the request log.
type CallRow struct {
	ID       string // the request's id, an @ and when it came: a client may use an id of its own twice
	At       time.Time
	KeyID    string
	Team     string
	Surface  string
	Provider string
	Model    string // as the client named it
	Upstream string // the provider's name of the model that answered
	Status   int
	Error    string // the kind of failure; "" where there was none
	Cache    CacheResult
	Attempts int
	Usage    dialect.Usage
	Took     time.Duration
	// Prompt is the request's body, redacted, where the config asks for it; nil else.
	Prompt []byte
}

// Retained is a kind of row that is kept for a time.
type Retained string

// What a ledger keeps for a time.
const (
	RetainedUsage   Retained = "usage"
	RetainedCalls   Retained = "calls"
	RetainedWriters Retained = "writers" // what is known of the last batch of each writer
)

// Batch names rows that are added together, so that they can be sent again by who did not hear whether they were added.
type Batch struct {
	Writer string // who adds them, and nobody else
	Number int64  // grows with each batch of the writer's
}

// NewWriter makes up who adds batches.
func NewWriter() string { return uuid.NewString() }

// Ledger keeps what was used, durably. It is off the path of a call: rows come in batches. It is safe for concurrent use.
type Ledger interface {
	// AddUsage adds rows to the sums of their minute, key, surface, provider and model, all or none. Where the writer's last batch has
	// this number or a higher one, it was added before, and nothing is done.
	AddUsage(ctx context.Context, batch Batch, rows []UsageRow) error
	// AddCalls appends to the request log, all or none. A row whose id is there already is left out.
	AddCalls(ctx context.Context, rows []CallRow) error
	// Usage lists sums of minutes in [from, to), oldest first, at most limit of them.
	Usage(ctx context.Context, from, to time.Time, limit int) ([]UsageRow, error)
	// Calls lists the request log of [from, to), oldest first, at most limit rows.
	Calls(ctx context.Context, from, to time.Time, limit int) ([]CallRow, error)
	// Prune removes up to limit rows that are older, oldest first, and returns how many it removed. It takes few rows at a
	// time, so that it holds nobody up.
	Prune(ctx context.Context, what Retained, before time.Time, limit int) (int, error)
}
