package exchange

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// transports are one for each bound on the dial and the TLS handshake: a transport dials for whichever call needs a connection
// next, so the bound cannot be a call's own. There are as many as the config has values, mostly one.
type transports struct {
	own   time.Duration // the provider's bound; zero where the attempt's holds
	mu    sync.Mutex
	known atomic.Pointer[[]*transport]
}

// connectionBuffer is the size of each of a connection's two buffers, half of what Go takes: a connection has them for as long as it is open. The
// head of a request with a short body fits, and so does that of an answer; what is longer goes past them.
const connectionBuffer = 2 << 10

type transport struct {
	connect time.Duration
	http.Transport
}

func (ts *transports) open(connect time.Duration) {
	ts.own = connect
	ts.known.Store(new([]*transport))
}

// of finds the transport for an attempt that says how long it may take to connect, or does not.
func (ts *transports) of(connect time.Duration) *transport {
	switch {
	case ts.own > 0:
		connect = ts.own
	case connect == 0:
		connect = DefaultConnectTimeout
	}
	for _, t := range *ts.known.Load() {
		if t.connect == connect {
			return t
		}
	}
	return ts.add(connect)
}

func (ts *transports) add(connect time.Duration) *transport {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	known := *ts.known.Load()
	for _, t := range known {
		if t.connect == connect {
			return t
		}
	}
	t := newTransport(connect)
	known = append(slices.Clip(known), t)
	ts.known.Store(&known)
	return t
}

func (ts *transports) close() {
	if known := ts.known.Load(); known != nil {
		for _, t := range *known {
			t.CloseIdleConnections()
		}
	}
}

func newTransport(connect time.Duration) *transport {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	return &transport{connect, http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connect,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a compressed stream would arrive in lumps
		ReadBufferSize:      connectionBuffer,
		WriteBufferSize:     connectionBuffer,
	}}
}
