package keys

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	defaultName = "unnamed"

	maxName   = 200 // characters
	maxTeam   = 64
	maxModel  = 256 // characters
	maxModels = 1000
	maxGrace  = 366 * day
)

// The members that the bodies of each operation may have.
var (
	createFields = []string{"name", "team", "limits", "allowed_models", "budget", "expires_at"}
	importFields = append([]string{"key"}, createFields...)
	updateFields = append([]string{"active"}, createFields...)
	rotateFields = []string{"grace"}
)

// settings is what a request's body says of a key. As in a JSON merge patch (RFC 7396), what is missing stays as it
// is, and null puts back the default.
type settings struct {
	gateway.KeyChange
	secret string        // of an import
	grace  time.Duration // of a rotation
}

// newKey describes the key that the settings ask for, with the default for all that they leave open.
func (s *settings) newKey() gateway.NewKey {
	n := gateway.NewKey{Name: defaultName, Secret: s.secret}
	if s.Name != nil {
		n.Name = *s.Name
	}
	if s.Team != nil {
		n.Team = *s.Team
	}
	if s.Limits != nil {
		n.Limits = *s.Limits
	}
	if s.Models != nil {
		n.Models = *s.Models
	}
	if s.Expires != nil {
		n.Expires = *s.Expires
	}
	return n
}

// parseSettings reads a body that may have the given members. Names count as they are written: no "Name" for "name".
func parseSettings(body []byte, fields []string, now time.Time) (*settings, *dialect.Error) {
	s := new(settings)
	err := eachField(body, fields, func(field string, value []byte) *dialect.Error { return s.read(field, value, now) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// eachField hands over the members of a body that may have the given ones.
func eachField(body []byte, fields []string, read func(field string, value []byte) *dialect.Error) *dialect.Error {
	if err := dialect.Check(body); err != nil {
		return err
	}
	for name, value := range dialect.Members(body) {
		field := string(name)
		if !slices.Contains(fields, field) {
			return invalid(shorten(field), "this is no field here; the fields are %s", strings.Join(fields, ", "))
		}
		if err := read(field, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) read(field string, value []byte, now time.Time) (err *dialect.Error) {
	null := string(value) == "null"
	switch field {
	case "name":
		name := defaultName
		if !null {
			name, err = parseName(value)
		}
		s.Name = &name
	case "team":
		team := ""
		if !null {
			team, err = parseTeam(value)
		}
		s.Team = &team
	case "limits":
		limits := gateway.DefaultKeyLimits()
		if !null {
			limits, err = parseLimits(value)
		}
		s.Limits = &limits
	case "allowed_models":
		models := []string{}
		if !null {
			models, err = parseModels(value)
		}
		s.Models = &models
	case "expires_at":
		var expires time.Time
		if !null {
			expires, err = parseExpiry(value, now)
		}
		s.Expires = &expires
	case "budget":
		if !null {
			err = invalid(field, "budgets are not enforced by this version, so it takes none; leave it out or send null")
		}
	case "active":
		s.Active, err = parseActive(value)
	case "key":
		secret, ok := dialect.Text(value)
		if !ok || !gateway.WellFormedKey(secret) {
			err = invalid(field, "a key is %s and 64 lowercase hexadecimal digits", gateway.KeyPrefix)
		}
		s.secret = secret
	case "grace":
		if !null {
			s.grace, err = parseGrace(value)
		}
	}
	return err
}

func parseName(value []byte) (string, *dialect.Error) {
	text, ok := dialect.Text(value)
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); !ok || n < 1 || n > maxName || strings.ContainsFunc(text, unicode.IsControl) {
		return "", invalid("name", "this must be a string of 1 to %d characters, with no control characters", maxName)
	}
	return text, nil
}

// parseTeam keeps to the characters that may stand in a limit's name in every store.
func parseTeam(value []byte) (string, *dialect.Error) {
	text, ok := dialect.Text(value)
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}
	if !ok || len(text) > maxTeam || strings.ContainsFunc(text, bad) {
		return "", invalid("team", "this must be a string of up to %d letters, digits, dots, dashes and underscores", maxTeam)
	}
	return text, nil
}

func parseActive(value []byte) (*bool, *dialect.Error) {
	active := string(value) == "true"
	if !active && string(value) != "false" {
		return nil, invalid("active", "this must be true or false")
	}
	return &active, nil
}

func parseModels(value []byte) ([]string, *dialect.Error) {
	const field = "allowed_models"
	if value[0] != '[' {
		return nil, invalid(field, "this must be an array of model names; an empty one allows all")
	}
	models := []string{}
	for element := range dialect.Elements(value) {
		at := field + "." + strconv.Itoa(len(models))
		if len(models) == maxModels {
			return nil, invalid(field, "a key may name up to %d models; leave the list empty to allow all", maxModels)
		}
		text, ok := dialect.Text(element)
		if n := utf8.RuneCountInString(text); !ok || n < 1 || n > maxModel || strings.ContainsFunc(text, unicode.IsControl) {
			return nil, invalid(at, "this must be a model's name, of 1 to %d characters", maxModel)
		}
		models = append(models, text)
	}
	return models, nil
}

func parseExpiry(value []byte, now time.Time) (time.Time, *dialect.Error) {
	const field = "expires_at"
	text, ok := dialect.Text(value)
	at, err := time.Parse(time.RFC3339, text)
	if !ok || err != nil {
		return time.Time{}, invalid(field, "this must be a time as RFC 3339 writes it, as in 2030-12-31T23:59:59Z, or null for never")
	}
	at = at.UTC().Truncate(time.Second)
	if !at.After(now) {
		return time.Time{}, invalid(field, "this time is past; to end a key now, revoke it")
	}
	return at, nil
}

func parseGrace(value []byte) (time.Duration, *dialect.Error) {
	text, ok := dialect.Text(value)
	grace, err := caddy.ParseDuration(text)
	if !ok || err != nil || grace < 0 || grace > maxGrace {
		return 0, invalid("grace", "this must be a duration from 0s to 366d, as in 10m")
	}
	return grace, nil
}

// parseLimits reads an array of limits, each in its short form or as an object.
func parseLimits(value []byte) ([]gateway.Limit, *dialect.Error) {
	const field = "limits"
	if value[0] != '[' {
		return nil, invalid(field, "this must be an array of limits; an empty one is unlimited")
	}
	limits := []gateway.Limit{} // not nil, which would mean the default
	for element := range dialect.Elements(value) {
		at := field + "." + strconv.Itoa(len(limits))
		if len(limits) == maxLimits {
			return nil, invalid(field, "there may be up to %d limits", maxLimits)
		}
		limit, err := parseLimitValue(at, element)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(limits, func(l gateway.Limit) bool { return l.Kind == limit.Kind && l.Window == limit.Window }) {
			return nil, invalid(at, "there is a limit of this kind and window before; the smaller count of the two is enough")
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

func parseLimitValue(at string, value []byte) (gateway.Limit, *dialect.Error) {
	if text, ok := dialect.Text(value); ok {
		limit, err := parseLimit(text)
		if err != nil {
			return gateway.Limit{}, invalid(at, "%s", err)
		}
		return limit, nil
	}
	if value[0] != '{' {
		return gateway.Limit{}, invalid(at, `write a limit as "1000/1h" or as {"kind":"requests","limit":1000,"window":"1h"}`)
	}
	return parseLimitObject(at, value)
}

func parseLimitObject(at string, object []byte) (limit gateway.Limit, failure *dialect.Error) {
	windowed := false
	for name, value := range dialect.Members(object) {
		var err error
		text, isText := dialect.Text(value)
		switch string(name) {
		case "kind":
			limit.Kind = gateway.LimitKind(text)
		case "limit":
			if isText {
				text = "" // a number in quotes is none
			} else {
				text = string(value)
			}
			limit.N, err = parseCount(text)
		case "window":
			if string(value) == "null" {
				continue
			}
			windowed = true
			limit.Window, err = parseWindow(text)
		default:
			err = fmt.Errorf("a limit has no such member; it has kind, limit and window")
		}
		if err != nil {
			return limit, invalid(at+"."+shorten(string(name)), "%s", err)
		}
	}
	switch limit.Kind {
	case gateway.LimitRequests, gateway.LimitTokens:
		if !windowed {
			return limit, invalid(at+".window", "this limit needs a window, as in 1h")
		}
	case gateway.LimitConcurrency:
		if windowed {
			return limit, invalid(at+".window", "calls in progress have no window; leave it out")
		}
	default:
		return limit, invalid(at+".kind", "this must be requests, tokens or concurrency")
	}
	if limit.N == 0 {
		return limit, invalid(at+".limit", "this limit needs a count, as in 1000")
	}
	return limit, nil
}

// invalid says which field breaks its rule. The message never quotes the value, which may be a secret put in the
// wrong place.
func invalid(field, format string, args ...any) *dialect.Error {
	err := dialect.Errorf(dialect.Validation, format, args...)
	err.Field = field
	return err
}

// shorten keeps a client's own text from filling an answer.
func shorten(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
