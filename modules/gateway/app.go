// Package gateway is the hub: the Caddy app llm_gateway, and every contract that handlers, providers and
// stores share. It loads its guests by namespace and never imports them, so a third party's provider is
// treated as ours are.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/headroom"
)

func init() { caddy.RegisterModule(new(App)) }

// AppName is the app's module id.
const AppName = "llm_gateway"

// Defaults of the app.
const (
	DefaultDataDir = "./data"
	DefaultMaxBody = 32 << 20
)

// App is the gateway: its providers, its models and its stores. Everything that a handler needs is ready when
// Provision returns, since Caddy starts apps in any order.
type App struct {
	// DataDir holds the embedded stores. Placeholders are replaced. Default: {env.GATEWAY_DATA}, else ./data.
	DataDir string `json:"data_dir,omitempty"`
	// MaxBody bounds a request's body, in bytes. Default: 32 MiB.
	MaxBody int64 `json:"max_body,omitempty"`
	// CORS lists the origins whose pages may call the gateway from a browser; "*" is any. Default: none.
	CORS []string `json:"cors,omitempty"`
	// AdminKey is the credential of the key API. Placeholders are replaced when the config is loaded. Default: {env.GATEWAY_ADMIN_KEY};
	// where that is empty too, the first start makes one, prints it once and keeps its hash.
	AdminKey string `json:"admin_key,omitempty"`

	// Ledger says what is kept of calls, and for how long.
	Ledger *LedgerConfig `json:"ledger,omitempty"`

	// StoreRaw keeps limits and answers. Default: memory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=llm_gateway.stores inline_key=module"`
	// DatabaseRaw keeps keys, teams, usage, the request log and records of files. Default: sqlite, in the data directory.
	DatabaseRaw json.RawMessage `json:"database,omitempty" caddy:"namespace=llm_gateway.stores inline_key=module"`
	// Upstreams are the provider accounts, in the order in which they are asked for a model that no Model names.
	// Default: each provider whose usual environment variable is set; demo where none is.
	Upstreams []*Upstream `json:"providers,omitempty"`
	// Models are the names that clients may ask for, beside the providers' own.
	Models []*Model `json:"models,omitempty"`

	ctx     caddy.Context
	log     *zap.Logger
	store   Store
	db      Database
	keyring *Keyring
	journal *journal
	metrics *metrics
	routes  routes
	state   lifetime
	stop    context.CancelFunc
	welcome *welcome
}

// Store is what a module in llm_gateway.stores gives where the config says `store`.
type Store interface {
	Limiter() Limiter
	Answers() AnswerStore
	// Ping tells whether the store answers.
	Ping(ctx context.Context) error
	// Release gives the store back. The app calls it once the last call is over, which may be long after the
	// module's Cleanup, since calls outlive a reload.
	Release() error
}

// Database is what a module in llm_gateway.stores gives where the config says `database`.
type Database interface {
	// UseDataDir tells the module the data directory, before anything else. It must open nothing yet.
	UseDataDir(dir string) error
	Keys() KeyStore
	Ledger() Ledger
	Files() FileStore
	// Release is as Store's.
	Release() error
}

// Optional is implemented by stores and databases without which the gateway goes on, as its config says. One that is down makes the
// gateway degraded, not unready: else a load balancer would take away every gateway at once.
type Optional interface {
	Optional() bool
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: AppName, New: func() caddy.Module { return new(App) }}
}

// Provision loads the guests. It opens nothing: `caddy validate` comes this way too.
func (app *App) Provision(ctx caddy.Context) error {
	app.ctx = ctx
	app.log = ctx.Logger()
	app.state.release = app.release
	app.state.refs.Store(1)
	repl := caddy.NewReplacer()

	if app.DataDir == "" {
		app.DataDir = os.Getenv("GATEWAY_DATA")
	}
	if app.DataDir = repl.ReplaceAll(app.DataDir, ""); app.DataDir == "" {
		app.DataDir = DefaultDataDir
	}
	if app.MaxBody == 0 {
		app.MaxBody = DefaultMaxBody
	}
	admin, err := app.adminCredential(repl)
	if err != nil {
		return err
	}
	if err := app.loadStores(); err != nil {
		return err
	}
	if err := app.loadUpstreams(); err != nil {
		return err
	}
	if err := app.buildRoutes(); err != nil {
		return err
	}
	app.keyring = NewKeyring(app.db.Keys(), admin, app.log.Named("keys"))
	if app.metrics, err = registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if err := ctx.GetMetricsRegistry().Register(healthCollector{app}); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	app.metrics.prepare(app)
	if app.Ledger == nil {
		app.Ledger = new(LedgerConfig)
	}
	if err := app.Ledger.provision(); err != nil {
		return err
	}
	app.journal = newJournal(app.db.Ledger(), app.Ledger, app.metrics, app.log.Named("ledger"))
	return app.awaitStart()
}

func (app *App) adminCredential(repl *caddy.Replacer) (string, error) {
	if app.AdminKey == "" {
		return os.Getenv("GATEWAY_ADMIN_KEY"), nil
	}
	key := repl.ReplaceAll(app.AdminKey, "")
	if key == "" {
		return "", fmt.Errorf("admin_key: %s is empty; set it, or leave admin_key out to have one made on the first start", app.AdminKey)
	}
	return key, nil
}

func (app *App) loadStores() error {
	if app.StoreRaw == nil {
		app.StoreRaw = json.RawMessage(`{"module":"memory"}`)
	}
	if app.DatabaseRaw == nil {
		app.DatabaseRaw = json.RawMessage(`{"module":"sqlite"}`)
	}
	guest, err := app.ctx.LoadModule(app, "StoreRaw")
	if err != nil {
		return fmt.Errorf("loading store: %w", err)
	}
	var ok bool
	if app.store, ok = guest.(Store); !ok {
		return fmt.Errorf("store: %T keeps no limits and answers; use memory or redis", guest)
	}
	if guest, err = app.ctx.LoadModule(app, "DatabaseRaw"); err != nil {
		return fmt.Errorf("loading database: %w", err)
	}
	if app.db, ok = guest.(Database); !ok {
		return fmt.Errorf("database: %T keeps no keys; use sqlite or postgres", guest)
	}
	if err := app.db.UseDataDir(app.DataDir); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// Validate checks what needs the whole config.
func (app *App) Validate() error {
	if app.MaxBody < 1024 {
		return fmt.Errorf("max_body: %d bytes are too few for any call; give at least 1KiB", app.MaxBody)
	}
	return app.checkCORS()
}

// Start opens the key store, makes the first key where there is none, and checks that no route forgets a limit.
func (app *App) Start() error {
	if err := app.checkRoutes(); err != nil {
		return err
	}
	if err := app.PrepareDataDir(); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.Background())
	app.stop = stop
	if err := app.openKeys(run); err != nil {
		stop()
		return fmt.Errorf("opening the key store: %w", err)
	}
	headroom.Give()
	go app.keyring.flushEvery(run, 10*time.Second)
	go app.journal.run(run)
	if feed, ok := app.db.Keys().(KeyFeed); ok {
		go app.keyring.follow(run, feed)
	}
	return nil
}

// Stop ends what Start began. Calls in progress go on.
func (app *App) Stop() error {
	if app.stop != nil {
		app.stop()
	}
	return nil
}

// Cleanup lets go of the stores as soon as the last call is over.
func (app *App) Cleanup() error {
	app.state.done()
	return nil
}

func (app *App) release() {
	if app.keyring != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		app.keyring.flush(ctx)
	}
	if app.journal != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		app.journal.end(ctx)
	}
	var errs []error
	if app.store != nil {
		errs = append(errs, app.store.Release())
	}
	if app.db != nil {
		errs = append(errs, app.db.Release())
	}
	if err := errors.Join(errs...); err != nil {
		app.log.Error("releasing stores", zap.Error(err))
	}
}

// PrepareDataDir makes the data directory, for the owner alone.
func (app *App) PrepareDataDir() error {
	if err := os.MkdirAll(app.DataDir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	return nil
}

// DataPath is a file's path in the data directory.
func (app *App) DataPath(name string) string { return filepath.Join(app.DataDir, name) }

// Keyring is who may call.
func (app *App) Keyring() *Keyring { return app.keyring }

// Limiter keeps the windows of all limits.
func (app *App) Limiter() Limiter { return app.store.Limiter() }

// Answers keeps answers.
func (app *App) Answers() AnswerStore { return app.store.Answers() }

// Store is what keeps limits and answers.
func (app *App) Store() Store { return app.store }

// Database is what keeps keys.
func (app *App) Database() Database { return app.db }

// Files keeps whose the files are that providers keep.
func (app *App) Files() FileStore { return app.db.Files() }

// AppOf returns the gateway that a handler's config belongs to, made with defaults where the config names none.
func AppOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App(AppName)
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// lifetime counts who still uses a config: the config itself, and each call that it has in progress.
type lifetime struct {
	refs    atomic.Int64
	release func()
}

func (l *lifetime) add() { l.refs.Add(1) }

func (l *lifetime) done() {
	if l.refs.Add(-1) == 0 {
		l.release()
	}
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
