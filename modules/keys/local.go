package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// silentConfig is an empty Caddy config that logs nothing. Keeping the writer and raising the level is quieter than
// another writer, whose change Caddy would log.
func silentConfig() *caddy.Config {
	return &caddy.Config{Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "FATAL"}},
	}}}
}

// local is the key API over a store that this process opened itself, because no gateway runs to be asked.
type local struct {
	api     *api
	release context.CancelFunc
}

// openLocal opens the key store of an llm_gateway app's config. Of the app only what concerns that store is loaded: a
// provider whose credential is missing in this shell is no reason to refuse.
func openLocal(appConfig json.RawMessage) (*local, error) {
	var configured gateway.App
	if len(appConfig) > 0 {
		if err := json.Unmarshal(appConfig, &configured); err != nil {
			return nil, fmt.Errorf("reading the llm_gateway app's config: %w", err)
		}
	}
	raw, err := json.Marshal(&gateway.App{DataDir: configured.DataDir, DatabaseRaw: configured.DatabaseRaw})
	if err != nil {
		return nil, fmt.Errorf("writing the llm_gateway app's config: %w", err)
	}

	// A context from ProvisionContext can only be cancelled by Caddy. The app is loaded in one derived from it.
	cfg := silentConfig()
	base, err := caddy.ProvisionContext(cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing Caddy: %w", err)
	}
	cfg.AppsRaw = caddy.ModuleMap{gateway.AppName: raw}
	ctx, release := caddy.NewContext(base)
	app, err := gateway.AppOf(ctx)
	if err == nil {
		err = app.PrepareDataDir()
	}
	if err != nil {
		release()
		return nil, err
	}
	return &local{api: &api{ring: app.Keyring(), now: time.Now, imports: true}, release: release}, nil
}

func (l *local) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	path, rawQuery, _ := strings.Cut(path, "?")
	path, pathErr := url.PathUnescape(path)
	query, queryErr := url.ParseQuery(rawQuery)
	if err := errors.Join(pathErr, queryErr); err != nil {
		return nil, err
	}
	answer, failure := l.api.serve(ctx, &request{
		method: method, path: path, query: query,
		body: func() ([]byte, *dialect.Error) { return body, nil },
	})
	if failure != nil {
		if failure.Cause != nil {
			return nil, fmt.Errorf("%s: %w", plain(failure), failure.Cause)
		}
		return nil, errors.New(plain(failure))
	}
	if answer.body == nil {
		return nil, nil
	}
	return json.Marshal(answer.body)
}

func (l *local) close() { l.release() }
