package postgres

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and its server, and can fall silent as a host does that lost its power: connections
// stay open, and nothing comes through. It can cut off the next transaction, too.
type proxy struct {
	listener net.Listener
	target   string
	power    sync.RWMutex // held for writing while the power is off
	cut      atomic.Int32 // one of the constants below
	group    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	ended bool
}

// Where the next transaction is cut off.
const (
	nowhere      int32 = iota
	beforeCommit       // the server never sees the commit
	afterCommit        // the server commits, and nobody hears of it
)

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target}
	p.group.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() {
			p.keep(client)
			server, err := net.Dial("tcp", p.target)
			if err != nil {
				client.Close()
				return
			}
			p.keep(server)
			var committed atomic.Bool
			p.group.Go(func() { p.pass(client, server, func([]byte) bool { return !committed.Load() }) })
			p.pass(server, client, func(sent []byte) bool {
				if bytes.Contains(sent, []byte("commit\x00")) {
					switch p.cut.Swap(nowhere) {
					case beforeCommit:
						return false
					case afterCommit:
						committed.Store(true)
					}
				}
				return true
			})
		})
	}
}

// keep remembers a connection so that it is closed with the proxy.
func (p *proxy) keep(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns = append(p.conns, conn); p.ended {
		conn.Close()
	}
}

// pass hands on what is sent, until it may not.
func (p *proxy) pass(to, from net.Conn, may func(sent []byte) bool) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		p.power.RLock()
		p.power.RUnlock() //nolint:staticcheck // it only waits for the power
		if n > 0 {
			if !may(buffer[:n]) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// close must find the power on.
func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for _, conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}
