package redis

import (
	"strconv"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// keyPrefix begins the name of every window, so that one pattern finds them all.
const keyPrefix = "rate_limit:{"

// keyOf names the window of a claim:
//
//	rate_limit:{<tenant>}:<subject>:<kind>:<window>
//
// The braces make Redis Cluster keep a tenant's windows together. The window is in seconds, or has its unit behind it; a concurrency
// limit has none. Names hold letters, digits, '.', '_', '-', ':' and '%' only, which pass through shells and xargs as they are.
func keyOf(claim *gateway.Claim) string {
	tenant := tenantOf(claim)
	name := make([]byte, 0, len(keyPrefix)+len(tenant)+len(claim.Subject)+40)
	name = append(name, keyPrefix...)
	name = appendName(name, tenant)
	name = append(name, "}:"...)
	name = appendName(name, claim.Subject)
	name = append(name, ':')
	name = append(name, claim.Limit.Kind...)
	switch length := claim.Limit.Window; {
	case claim.Limit.Kind == gateway.LimitConcurrency:
	case length%time.Second == 0:
		name = strconv.AppendInt(append(name, ':'), int64(length/time.Second), 10)
	case length%time.Millisecond == 0:
		name = append(strconv.AppendInt(append(name, ':'), int64(length/time.Millisecond), 10), "ms"...)
	default:
		name = append(strconv.AppendInt(append(name, ':'), microseconds(length), 10), "us"...)
	}
	return string(name)
}

// tenantOf is on whose behalf a claim is made.
func tenantOf(claim *gateway.Claim) string {
	if claim.Tenant == "" {
		return claim.Subject
	}
	return claim.Tenant
}

// appendName writes a name with what could mean something to Redis or a shell percent-encoded. The empty name, which would undo the
// braces, becomes a lone percent sign.
func appendName(b []byte, name string) []byte {
	const hex = "0123456789ABCDEF"
	if name == "" {
		return append(b, '%')
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-', c == ':':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// microseconds rounds up: a window may be longer than promised, never shorter.
func microseconds(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}
