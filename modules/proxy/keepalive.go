package proxy

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// defaultKeepAlive is shorter than the patience of what stands between: balancers give up at 30 or 60 s, and agents at 20.
const defaultKeepAlive = 15 * time.Second

// keepAlive writes a stream to its client, and signs of life where there is nothing to write for a while: before the first event,
// which commits the status, and between events. It costs a call a timer, which is set again when it fires and not with each event.
type keepAlive struct {
	w    http.ResponseWriter
	call *gateway.Call

	sign     []byte
	interval time.Duration

	mu    sync.Mutex // whoever has it may write
	timer *time.Timer
	last  time.Time // of the last write
	over  bool
}

// newKeepAlive begins to watch over a stream. end must be called before anybody else writes to the client.
func (p *Proxy) newKeepAlive(w http.ResponseWriter, call *gateway.Call) *keepAlive {
	k := &keepAlive{w: w, call: call, sign: call.Codec().KeepAlive, interval: time.Duration(p.KeepAliveInterval)}
	if k.sign == nil || k.interval < 0 {
		return k
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = time.Now()
	k.timer = time.AfterFunc(k.interval, k.tick)
	return k
}

// tick writes a sign of life, where the silence has lasted for long enough.
func (k *keepAlive) tick() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return
	}
	if rest := k.interval - time.Since(k.last); rest > 0 {
		k.timer.Reset(rest)
		return
	}
	if !k.call.Begun() {
		k.call.BeginUnanswered(k.w)
	}
	if k.call.Record != nil {
		k.call.Record.KeepAlive(k.sign)
	}
	if _, err := k.w.Write(k.sign); err != nil {
		return // the client is gone, which the server tells the call
	}
	if err := http.NewResponseController(k.w).Flush(); err != nil {
		return
	}
	k.last = time.Now()
	k.timer.Reset(k.interval)
}

// write has the stream's writer for itself while something is written.
func (k *keepAlive) write(f func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := f()
	if k.timer != nil {
		k.last = time.Now()
	}
	return err
}

// end leaves the stream's writer to the caller.
func (k *keepAlive) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over = true; k.timer != nil {
		k.timer.Stop()
	}
}
