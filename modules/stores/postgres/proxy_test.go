package postgres

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between a store and its server, and can fall silent as a host does that lost its power: connections
// stay open, and nothing comes through.
type proxy struct {
	listener net.Listener
	target   string
	power    sync.RWMutex // held for writing while the power is off
	group    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	ended bool
}

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
			p.group.Go(func() { p.pass(client, server) })
			p.pass(server, client)
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

func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		p.power.RLock()
		p.power.RUnlock() //nolint:staticcheck // it only waits for the power
		if n > 0 {
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
