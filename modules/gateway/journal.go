package gateway

import (
	"context"
	"fmt"
	"hash/maphash"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// Defaults of the ledger.
const (
	DefaultUsageRetention = 400 * 24 * time.Hour
	DefaultCallsRetention = 30 * 24 * time.Hour
)

const (
	journalEvery  = time.Second
	pruneEvery    = time.Hour
	pruneBatch    = 500
	maxSums       = 100_000 // sums in memory while the ledger does not take them, beside those of the batch on its way
	maxCalls      = 10_000  // rows of the request log, likewise
	callsBatch    = 1_000
	maxPrompt     = 64 << 10 // bytes of a body that are kept
	beyondPrompt  = 1 << 10  // bytes that are looked at beyond those, so that no part of a secret is kept
	maxModelName  = 256      // bytes of a client's word for a model that are kept
	journalShards = 16
	// writerRetention is how long a batch can be sent again without being added twice: longer than any outage.
	writerRetention = 30 * 24 * time.Hour
)

// LedgerConfig says what the ledger keeps, and for how long.
type LedgerConfig struct {
	// UsageRetention is how long sums of usage are kept. Default: 400 days.
	UsageRetention caddy.Duration `json:"usage_retention,omitempty"`
	// RequestLog turns on a row for each call. Default: off.
	RequestLog bool `json:"request_log,omitempty"`
	// RequestRetention is how long those rows are kept. Default: 30 days.
	RequestRetention caddy.Duration `json:"request_retention,omitempty"`
	// Prompts keeps the body of each logged call, up to 64 KiB. Default: off.
	Prompts bool `json:"prompts,omitempty"`
	// Redact lists regular expressions whose matches are taken out of what Prompts keeps. Gateway keys always are.
	Redact []string `json:"redact,omitempty"`

	redact []*regexp.Regexp
}

// check refuses options that would do nothing, and expressions that do not compile.
func (c *LedgerConfig) check() error {
	if c.Prompts && !c.RequestLog {
		return fmt.Errorf("ledger: prompts are kept in the request log; add request_log")
	}
	if len(c.Redact) > 0 && !c.Prompts {
		return fmt.Errorf("ledger: redact has nothing to redact; add prompts")
	}
	c.redact = []*regexp.Regexp{credentials}
	for _, text := range c.Redact {
		expression, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("ledger: redact: %w", err)
		}
		c.redact = append(c.redact, expression)
	}
	return nil
}

func (c *LedgerConfig) provision() error {
	if c.UsageRetention == 0 {
		c.UsageRetention = caddy.Duration(DefaultUsageRetention)
	}
	if c.RequestRetention == 0 {
		c.RequestRetention = caddy.Duration(DefaultCallsRetention)
	}
	return c.check()
}

// credentials are what a prompt may hold by mistake: keys of this gateway and of the usual providers.
var credentials = regexp.MustCompile(`\b(sp|sa)_[0-9a-f]{16,}|\bsk-[A-Za-z0-9_-]{16,}`)

// prompt is a body as it may be kept.
func (c *LedgerConfig) prompt(body []byte) []byte {
	kept := append([]byte(nil), body[:min(len(body), maxPrompt+beyondPrompt)]...)
	for _, expression := range c.redact {
		kept = expression.ReplaceAllLiteral(kept, []byte("[redacted]"))
	}
	return kept[:min(len(kept), maxPrompt)]
}

// journal gathers what calls used, in memory and within bounds, and writes it to the ledger in batches.
type journal struct {
	ledger  Ledger
	config  *LedgerConfig
	log     *zap.Logger
	metrics *metrics

	seed   maphash.Seed
	shards [journalShards]journalShard

	mu    sync.Mutex
	calls []CallRow

	flushing sync.Mutex
	failing  bool       // under flushing, as the rest: the ledger refused the last batch
	batch    Batch      // the last one
	unsent   []UsageRow // its rows, until the ledger says that it has them: it may have them before
}

// journalShard holds the sums of some of the keys.
type journalShard struct {
	mu   sync.Mutex
	sums map[sumKey]*UsageRow
}

type sumKey struct {
	minute                              int64
	key, team, surface, provider, model string
}

func newJournal(ledger Ledger, config *LedgerConfig, m *metrics, log *zap.Logger) *journal {
	return &journal{ledger: ledger, config: config, metrics: m, log: log, seed: maphash.MakeSeed(), batch: Batch{Writer: NewWriter()}}
}

// note takes a call that is over.
func (j *journal) note(c *Call) {
	if c.Surface.Operation == "" || c.Key == nil && c.Status == 401 { // strangers fill no rows
		return
	}
	key := sumKey{minute: c.Started.Unix() / 60, surface: c.Surface.Name, provider: c.Provider, model: c.modelLabel()}
	if c.Key != nil {
		key.key, key.team = c.Key.ID, c.Key.Team
	}
	row := UsageRow{Calls: 1, Usage: c.Usage}
	if c.Status >= 400 {
		row.Failures = 1
	}
	if c.Cache.FromCache() {
		row.CacheHits = 1
	}
	j.add(key, row)
	if j.config.RequestLog {
		j.logCall(c)
	}
}

func (j *journal) add(key sumKey, row UsageRow) {
	shard := &j.shards[maphash.String(j.seed, key.key)%journalShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	sum, ok := shard.sums[key]
	if !ok {
		if len(shard.sums) >= maxSums/journalShards {
			j.metrics.dropped.WithLabelValues(string(RetainedUsage)).Inc()
			return
		}
		if shard.sums == nil {
			shard.sums = make(map[sumKey]*UsageRow)
		}
		sum = &UsageRow{
			Minute: time.Unix(key.minute*60, 0).UTC(), KeyID: key.key, Team: key.team,
			Surface: key.surface, Provider: key.provider, Model: key.model,
		}
		shard.sums[key] = sum
	}
	sum.Calls += row.Calls
	sum.Failures += row.Failures
	sum.CacheHits += row.CacheHits
	sum.Usage = sum.Usage.Add(row.Usage)
}

func (j *journal) logCall(c *Call) {
	row := CallRow{
		ID: c.ID + "@" + strconv.FormatInt(c.Started.UnixNano(), 36), At: c.Started.UTC(), Surface: c.Surface.Name, Provider: c.Provider, Model: clip(c.Model, maxModelName), Upstream: c.Upstream,
		Status: c.Status, Error: c.errorType(), Cache: c.Cache, Attempts: c.Attempts, Usage: c.Usage, Took: time.Since(c.Started),
	}
	if c.Key != nil {
		row.KeyID, row.Team = c.Key.ID, c.Key.Team
	}
	if j.config.Prompts && c.ContentType == "" { // a form is files for the most part, of which no prompt can be made
		row.Prompt = j.config.prompt(c.Body())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.calls) >= maxCalls {
		j.metrics.dropped.WithLabelValues(string(RetainedCalls)).Inc()
		return
	}
	j.calls = append(j.calls, row)
}

// run writes every second, and prunes every hour, until ctx ends.
func (j *journal) run(ctx context.Context) {
	write, prune := time.NewTicker(journalEvery), time.NewTicker(pruneEvery)
	defer write.Stop()
	defer prune.Stop()
	j.prune(ctx)
	for {
		select {
		case <-write.C:
			j.flush(ctx)
		case <-prune.C:
			j.prune(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// flush writes what was gathered. What the ledger does not take is kept for the next time, within bounds.
func (j *journal) flush(ctx context.Context) {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	err := j.flushSums(ctx)
	if err == nil {
		err = j.flushCalls(ctx)
	}
	switch {
	case err != nil && !j.failing && ctx.Err() == nil:
		j.log.Error("writing to the ledger; usage is gathered in memory until it can be written", zap.Error(err))
		j.failing = true
	case err == nil && j.failing:
		j.log.Info("the ledger takes usage again")
		j.failing = false
	}
}

// end writes what was gathered for the last time, and says what is lost with it.
func (j *journal) end(ctx context.Context) {
	j.flush(ctx)
	j.flushing.Lock()
	defer j.flushing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if sums, calls := len(j.unsent)+len(j.takeSums()), len(j.calls); sums > 0 || calls > 0 {
		j.log.Error("the ledger does not take usage, so that some is lost as the gateway ends", zap.Int("sums", sums), zap.Int("calls", calls))
	}
}

// flushSums writes the batch that the ledger may not have taken, as it was, and then what was gathered since.
func (j *journal) flushSums(ctx context.Context) error {
	if err := j.send(ctx); err != nil {
		return err
	}
	if j.unsent = j.takeSums(); len(j.unsent) > 0 {
		j.batch.Number++
	}
	return j.send(ctx)
}

func (j *journal) send(ctx context.Context) error {
	if len(j.unsent) == 0 {
		return nil
	}
	if err := j.ledger.AddUsage(ctx, j.batch, j.unsent); err != nil {
		return err
	}
	j.unsent = nil
	return nil
}

func (j *journal) takeSums() (rows []UsageRow) {
	for i := range j.shards {
		shard := &j.shards[i]
		shard.mu.Lock()
		for _, sum := range shard.sums {
			rows = append(rows, *sum)
		}
		shard.sums = nil
		shard.mu.Unlock()
	}
	return rows
}

func (j *journal) flushCalls(ctx context.Context) error {
	for {
		j.mu.Lock()
		batch := j.calls[:min(len(j.calls), callsBatch)]
		j.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := j.ledger.AddCalls(ctx, batch); err != nil {
			return err
		}
		j.mu.Lock()
		j.calls = append([]CallRow(nil), j.calls[len(batch):]...)
		j.mu.Unlock()
	}
}

// prune removes what is older than it is to be kept, a few rows at a time.
func (j *journal) prune(ctx context.Context) {
	for what, age := range map[Retained]time.Duration{
		RetainedUsage: time.Duration(j.config.UsageRetention), RetainedCalls: time.Duration(j.config.RequestRetention), RetainedWriters: writerRetention,
	} {
		for {
			n, err := j.ledger.Prune(ctx, what, time.Now().Add(-age), pruneBatch)
			if err != nil {
				if ctx.Err() == nil {
					j.log.Warn("pruning the ledger", zap.String("what", string(what)), zap.Error(err))
				}
				break
			}
			if n < pruneBatch {
				break
			}
		}
	}
}
