package gateway

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// The parts of a Caddyfile that every directive of ours reads the same way. Each reads the one argument of the current
// subdirective into dst, and refuses a second time, a missing argument or one too many.

// Options are the subdirectives of a block by their names, with what each sets: a *string, a *[]string or a *caddy.Duration, read as
// OneArg, ListArgs and DurationArg read them, or a func(*caddyfile.Dispenser) error that reads more.
type Options map[string]any

// Block reads a directive that has no arguments but a block of options. what names it in an error, as "an openai provider".
func Block(d *caddyfile.Dispenser, what string, options Options) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch dst := options[d.Val()].(type) {
		case *string:
			err = OneArg(d, dst)
		case *[]string:
			err = ListArgs(d, dst)
		case *caddy.Duration:
			err = DurationArg(d, dst)
		case func(*caddyfile.Dispenser) error:
			err = dst(d)
		default:
			err = d.Errf("unrecognized subdirective %q of %s", d.Val(), what)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// OneArg reads a text.
func OneArg(d *caddyfile.Dispenser, dst *string) error {
	name := d.Val()
	if *dst != "" {
		return d.Errf("%s is given twice", name)
	}
	if !d.AllArgs(dst) {
		return d.ArgErr()
	}
	if *dst == "" {
		return d.Errf("%s is empty", name)
	}
	return nil
}

// ListArgs reads one or more texts. It may be given again, and adds to what there is.
func ListArgs(d *caddyfile.Dispenser, dst *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*dst = append(*dst, args...)
	return nil
}

// DurationArg reads a duration, such as 300ms, 1h or 30d.
func DurationArg(d *caddyfile.Dispenser, dst *caddy.Duration) error {
	name := d.Val()
	if *dst != 0 {
		return d.Errf("%s is given twice", name)
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	value, err := ParseDuration(text)
	if err != nil {
		return d.Errf("%s: %v", name, err)
	}
	*dst = caddy.Duration(value)
	return nil
}

// CountArg reads a whole number from 1, which may have underscores.
func CountArg(d *caddyfile.Dispenser, dst *int64) error {
	name := d.Val()
	if *dst != 0 {
		return d.Errf("%s is given twice", name)
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	value, err := ParseCount(text)
	if err != nil {
		return d.Errf("%s: %v", name, err)
	}
	*dst = value
	return nil
}

// SizeArg reads a size in bytes, such as 64MiB.
func SizeArg(d *caddyfile.Dispenser, dst *int64) error {
	name := d.Val()
	if *dst != 0 {
		return d.Errf("%s is given twice", name)
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	value, err := humanize.ParseBytes(text)
	if err != nil || value == 0 || value > math.MaxInt64 {
		return d.Errf("%s: %q is no size; write it as in 64MiB", name, text)
	}
	*dst = int64(value)
	return nil
}

// ParseDuration reads a positive duration; besides Go's units it knows d for days.
func ParseDuration(text string) (time.Duration, error) {
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return 0, &mistake{text, "no duration above zero; write it as in 300ms, 1h or 30d"}
	}
	return value, nil
}

// ParseCount reads a decimal number from 1 to 2^53, which JSON can carry exactly. Underscores may group its digits.
func ParseCount(text string) (int64, error) {
	value, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil || value < 1 || value > 1<<53 || text[0] == '_' {
		return 0, &mistake{text, "no whole number from 1; write it as in 1000 or 200_000"}
	}
	return value, nil
}

// mistake is a text of the config that is not what it should be.
type mistake struct{ text, want string }

func (m *mistake) Error() string { return strconv.Quote(m.text) + " is " + m.want }
