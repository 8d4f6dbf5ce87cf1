package redis

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// parseURL reads where Redis is:
//
//	redis://[user:password@]host[:port][/db]                            one server
//	unix://[user:password@]/path/to/socket[?db=n]                       one server on this machine
//	redis+sentinel://[user:password@]host[:port],…/master[?db=n]        the master that Sentinels name
//	redis+cluster://[user:password@]host[:port],…                       Redis Cluster
//
// With rediss in the place of redis, the connection is encrypted and the server's certificate checked against the system's roots.
// A password without a user is written :password@; special characters in either are percent-encoded. Sentinels that ask for
// a credential of their own get it from the parameters sentinel_user and sentinel_password.
// Errors never repeat the URL, which holds a password.
func parseURL(text string) (*goredis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return nil, fmt.Errorf("redis url: no scheme; write it as in redis://localhost:6379")
	}
	// net/url knows one host only, so that the hosts are taken out before it reads the rest.
	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}
	credential, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		credential, hosts = authority[:at+1], authority[at+1:]
	}
	u, err := url.Parse("redis://" + credential + "host" + tail)
	if err != nil {
		return nil, fmt.Errorf("redis url: user, password, path or parameters are malformed; percent-encode special characters")
	}
	o := new(goredis.UniversalOptions)
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	base, encrypted := strings.CutPrefix(scheme, "rediss")
	if !encrypted {
		var known bool
		if base, known = strings.CutPrefix(scheme, "redis"); !known && scheme != "unix" {
			base = "unknown"
		}
	}
	query := u.Query()
	db := query.Get("db")
	query.Del("db")
	switch base {
	case "", "+cluster":
		o.IsClusterMode = base != ""
		if path := strings.Trim(u.Path, "/"); path != "" {
			db = path
		}
	case "unix":
		o.Addrs = []string{u.Path}
	case "+sentinel":
		o.MasterName = strings.Trim(u.Path, "/")
		if o.MasterName == "" {
			return nil, fmt.Errorf("redis url: the master's name is missing; write it as in redis+sentinel://host:26379/mymaster")
		}
		o.SentinelUsername, o.SentinelPassword = query.Get("sentinel_user"), query.Get("sentinel_password")
		query.Del("sentinel_user")
		query.Del("sentinel_password")
	default:
		return nil, fmt.Errorf("redis url: unknown scheme %q; there are redis, rediss, unix, and with +sentinel or +cluster behind redis or rediss", scheme)
	}
	for name := range query {
		return nil, fmt.Errorf("redis url: unknown parameter %q", name)
	}
	if db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 || o.IsClusterMode && o.DB != 0 {
			return nil, fmt.Errorf("redis url: %q is no database here; they are numbered from 0, and Redis Cluster has that one only", db)
		}
	}
	if base == "unix" {
		if o.Addrs[0] == "" || hosts != "" {
			return nil, fmt.Errorf("redis url: the socket's path is missing; write it as in unix:///run/redis.sock")
		}
		return o, nil
	}
	if encrypted {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, addresses(o, hosts)
}

// addresses reads hosts with their ports.
func addresses(o *goredis.UniversalOptions, hosts string) error {
	port := "6379"
	if o.MasterName != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Host == "" {
			return fmt.Errorf("redis url: a host is missing or malformed; write hosts as in redis://localhost:6379")
		}
		if u.Port() == "" {
			host = strings.TrimSuffix(host, ":") + ":" + port
		}
		o.Addrs = append(o.Addrs, host)
	}
	if len(o.Addrs) > 1 && o.MasterName == "" && !o.IsClusterMode {
		return fmt.Errorf("redis url: several hosts; write redis+cluster:// or redis+sentinel:// for them")
	}
	return nil
}
