package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	dialTimeout = 5 * time.Second
	// commandTimeout bounds one request of a command, so that it ends where a gateway hangs.
	commandTimeout = 30 * time.Second
)

// adminConfig is what a client of Caddy's admin endpoint must know of its config.
type adminConfig struct {
	Disabled bool     `json:"disabled"`
	Listen   string   `json:"listen"`
	Origins  []string `json:"origins"`
}

// remote is the key API at an admin endpoint.
type remote struct {
	network, address string
	host, origin     string // what the endpoint lets pass; origin is empty where it checks none
	client           http.Client
}

// newRemote reads the address as Caddy does when it listens there.
func newRemote(admin adminConfig) (*remote, error) {
	listen, err := caddy.NewReplacer().ReplaceOrErr(admin.Listen, true, true)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the admin endpoint: %w", err)
	}
	if listen == "" {
		listen = caddy.DefaultAdminListen
	}
	addr, err := caddy.ParseNetworkAddress(listen)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the admin endpoint: %w", err)
	}
	if addr.PortRangeSize() > 1 {
		return nil, fmt.Errorf("the admin endpoint %s has more than one port", listen)
	}
	r := &remote{network: addr.Network, address: addr.JoinHostPort(0), host: addr.JoinHostPort(0)}
	r.origin = "http://" + r.host
	if addr.IsUnixNetwork() {
		r.network = "unix"
		r.address, _, _ = strings.Cut(addr.Host, "|") // what follows are the socket's permissions
		r.host, r.origin = "127.0.0.1", ""            // Go sends no request without a host
	}
	if len(admin.Origins) > 0 {
		r.origin = admin.Origins[0]
		if !strings.Contains(r.origin, "://") {
			r.origin = "http://" + r.origin
		}
		_, host, _ := strings.Cut(r.origin, "://")
		r.host, _, _ = strings.Cut(host, "/")
	}
	r.client = http.Client{Timeout: commandTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) },
	}}
	return r, nil
}

func (r *remote) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(ctx, r.network, r.address)
}

// listening says whether anybody listens at the address. A socket that may not be opened is an error, not nobody.
func (r *remote) listening(ctx context.Context) (bool, error) {
	conn, err := r.dial(ctx)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reaching the admin endpoint: %w", err)
	}
	return true, conn.Close()
}

func (r *remote) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.host+adminRoot+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if r.origin != "" {
		req.Header.Set("Origin", r.origin)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the admin endpoint's answer: %w", err)
	}
	isJSON := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if resp.StatusCode < 400 && (isJSON || resp.StatusCode == http.StatusNoContent) {
		return text, nil
	}
	var refusal caddy.APIError
	if !isJSON || json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
		return nil, fmt.Errorf("what listens at %s has no key API (it answers HTTP %d); is it a Caddy with the gateway's modules?", r.address, resp.StatusCode)
	}
	return nil, errors.New(refusal.Message)
}

func (r *remote) close() {}
