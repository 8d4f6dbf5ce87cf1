package gateway

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() { httpcaddyfile.RegisterGlobalOption(AppName, parseGlobal) }

// parseGlobal merges each llm_gateway block with those before it, so that snippets can add providers and models.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if former, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(former.Value, app); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: AppName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	llm_gateway {
//		data_dir  <path>
//		max_body  <size>
//		cors      <origin>...
//		admin_key <credential>
//		store     <module> [<args>...] { ... }
//		database  <module> [<args>...] { ... }
//		ledger {
//			usage_retention <duration>
//			request_log     [<retention>]
//			prompts
//			redact          <regexp>...
//		}
//		provider  <name> [<module>] { ... }
//		model     <name> {
//			alias    <name>...
//			target   <provider>/<model> [weight <n>]
//			fallback <provider>/<model>
//		}
//	}
//
// A provider's module is the one of its name where none is given. Credentials are placeholders, such as {env.X} or
// {file./run/secrets/x}. Repeated blocks merge.
func (app *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch d.Val() {
		case "data_dir":
			err = OneArg(d, &app.DataDir)
		case "max_body":
			err = SizeArg(d, &app.MaxBody)
		case "admin_key":
			err = OneArg(d, &app.AdminKey)
		case "cors":
			origins := d.RemainingArgs()
			if len(origins) == 0 {
				return d.ArgErr()
			}
			app.CORS = append(app.CORS, origins...)
		case "store":
			err = unmarshalStore(d, &app.StoreRaw)
		case "database":
			err = unmarshalStore(d, &app.DatabaseRaw)
		case "ledger":
			err = app.unmarshalLedger(d)
		case "provider":
			err = app.unmarshalProvider(d)
		case "model":
			err = app.unmarshalModel(d)
		default:
			err = d.Errf("unrecognized subdirective %q of llm_gateway", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unmarshalStore(d *caddyfile.Dispenser, raw *json.RawMessage) error {
	kind := d.Val()
	if *raw != nil {
		return d.Errf("%s is given twice", kind)
	}
	if !d.NextArg() {
		return d.ArgErr()
	}
	module := d.Val()
	guest, err := caddyfile.UnmarshalModule(d, "llm_gateway.stores."+module)
	if err != nil {
		return err
	}
	*raw = caddyconfig.JSONModuleObject(guest, "module", module, nil)
	return nil
}

func (app *App) unmarshalLedger(d *caddyfile.Dispenser) error {
	if app.Ledger != nil {
		return d.Err("ledger is given twice")
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	app.Ledger = new(LedgerConfig)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option := d.Val(); option {
		case "usage_retention":
			if err := DurationArg(d, &app.Ledger.UsageRetention); err != nil {
				return err
			}
		case "request_log":
			app.Ledger.RequestLog = true
			if d.CountRemainingArgs() > 0 {
				if err := DurationArg(d, &app.Ledger.RequestRetention); err != nil {
					return err
				}
			}
		case "prompts":
			if d.NextArg() {
				return d.ArgErr()
			}
			app.Ledger.Prompts = true
		case "redact":
			args := d.RemainingArgs()
			if len(args) == 0 {
				return d.ArgErr()
			}
			app.Ledger.Redact = append(app.Ledger.Redact, args...)
		default:
			return d.Errf("unrecognized subdirective %q of ledger", option)
		}
	}
	if err := app.Ledger.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (app *App) unmarshalProvider(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if slices.ContainsFunc(app.Upstreams, func(up *Upstream) bool { return up.Name == name }) {
		return d.Errf("provider %s is given twice", name)
	}
	module := name
	if d.CountRemainingArgs() > 0 {
		d.NextArg()
		module = d.Val()
	}
	guest, err := caddyfile.UnmarshalModule(d, providerNamespace+"."+module)
	if err != nil {
		return err
	}
	app.Upstreams = append(app.Upstreams, &Upstream{Name: name, ProviderRaw: caddyconfig.JSONModuleObject(guest, "module", module, nil)})
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
