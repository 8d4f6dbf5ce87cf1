package main

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/load"
	"github.com/caddy-llm/caddy-llm/bench/machine"
	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

const (
	liveStreams = 2000
	manyKeys    = 10_000
	callsOfEach = 2                  // so that a key's window is in use
	settling    = 2 * time.Second    // after which a server that was started is at rest
	large       = "1000000/1h"       // a limit that is counted in parts of its window
	repetitions = 3                  // of what takes long; more rounds do not make memory more exact
	megabyte    = float64(1_000_000) // as the targets have it
	millisecond = float64(time.Millisecond)
)

// resources are what does not depend on a request's way. There is a value for each repetition.
type resources struct {
	stockIdle, idle []float64 // resident, in MB
	stockAfter      []float64 // after the same calls as with keys, proxied
	live            []float64 // with liveStreams streams
	oneKey, allKeys []float64 // after the same number of calls, of one key and of many
	start           []float64 // to the first answer, in ms
}

// measureResources starts servers anew for each value.
func measureResources(ctx context.Context, f *fleet.Fleet, built binaries, up *fleet.Process, rounds int) (resources, error) {
	var r resources
	for i := range rounds {
		say("start and idle memory, %d of %d", i+1, rounds)
		if err := r.measureIdle(ctx, f, built, up); err != nil {
			return r, err
		}
		took, err := f.GatewayStart(ctx, built.gateway, up.Port, firstQuestion)
		if err != nil {
			return r, err
		}
		r.start = append(r.start, float64(took)/millisecond)
	}
	for i := range min(rounds, repetitions) {
		say("memory with %d live streams, %d of %d", liveStreams, i+1, min(rounds, repetitions))
		if err := r.measureStreams(ctx, f, built, up); err != nil {
			return r, err
		}
	}
	return r, r.measureKeys(ctx, f, built, up, min(rounds, repetitions))
}

func firstQuestion(address, key string) []byte {
	return post(address, "/v1/chat/completions", key, chat(upstream.Model, "", questionSize))
}

func (r *resources) measureIdle(ctx context.Context, f *fleet.Fleet, built binaries, up *fleet.Process) error {
	stock, err := f.Stock(ctx, built.stock, up.Port)
	if err != nil {
		return err
	}
	defer stock.Stop()
	gateway, err := f.Gateway(ctx, built.gateway, up.Port, 0)
	if err != nil {
		return err
	}
	defer gateway.Stop()
	for p, to := range map[*fleet.Process]*[]float64{stock.Process: &r.stockIdle, gateway.Process: &r.idle} {
		if err := resident(ctx, p, to); err != nil {
			return err
		}
	}
	return nil
}

// resident appends a process's memory once it had time to rest.
func resident(ctx context.Context, p *fleet.Process, to *[]float64) error {
	if _, err := watch(ctx, settling); err != nil {
		return err
	}
	bytes, err := machine.System.Resident(p.ID)
	*to = append(*to, float64(bytes)/megabyte)
	return err
}

func (r *resources) measureStreams(ctx context.Context, f *fleet.Fleet, built binaries, up *fleet.Process) error {
	gateway, err := f.Gateway(ctx, built.gateway, up.Port, 0)
	if err != nil {
		return err
	}
	defer gateway.Stop()
	key, err := gateway.Key(ctx, unlimited)
	if err != nil {
		return err
	}
	stop, err := openStreams(ctx, gateway, key, liveStreams)
	if err != nil {
		return err
	}
	defer stop()
	return resident(ctx, gateway.Process, &r.live)
}

// openStreams begins streams that go on until stop is called. It returns once each has had its first event.
func openStreams(ctx context.Context, gateway *fleet.Gateway, key string, n int) (stop func(), err error) {
	ctx, stop = context.WithCancel(ctx)
	request := post(gateway.Address(), "/v1/chat/completions", key, chat(upstream.LiveModel, `"stream":true,`, questionSize))
	for i := range n {
		c, err := load.Dial(ctx, gateway.Address())
		if err == nil {
			err = c.Begin(request)
		}
		if err != nil {
			stop()
			return nil, fmt.Errorf("stream %d of %d: %w", i+1, n, err)
		}
		go c.Drain()
	}
	return stop, nil
}

// measureKeys compares many keys that call with one that calls as often. The keys are made beforehand, by another process, so
// that making them is not measured.
func (r *resources) measureKeys(ctx context.Context, f *fleet.Fleet, built binaries, up *fleet.Process, repetitions int) error {
	dir, err := f.Home()
	if err != nil {
		return err
	}
	say("making %d keys", manyKeys)
	keys, err := makeKeys(ctx, f, dir, built.gateway, up, manyKeys, large)
	if err != nil {
		return err
	}
	for i := range repetitions {
		say("memory with %d keys, %d of %d", manyKeys, i+1, repetitions)
		if err := r.measureKeysOnce(ctx, f, dir, built, up, keys); err != nil {
			return err
		}
	}
	return nil
}

func makeKeys(ctx context.Context, f *fleet.Fleet, dir, binary string, up *fleet.Process, n int, limits ...string) ([]string, error) {
	gateway, err := f.GatewayWith(ctx, dir, binary, up.Port, "")
	if err != nil {
		return nil, err
	}
	defer gateway.Stop()
	keys := make([]string, n)
	for i := range keys {
		if keys[i], err = gateway.Key(ctx, limits...); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func (r *resources) measureKeysOnce(ctx context.Context, f *fleet.Fleet, dir string, built binaries, up *fleet.Process, keys []string) error {
	gateway, err := f.GatewayWith(ctx, dir, built.gateway, up.Port, "")
	if err != nil {
		return err
	}
	defer gateway.Stop()
	c, err := load.Dial(ctx, gateway.Address())
	if err != nil {
		return err
	}
	defer c.Close()
	for step, to := range []*[]float64{&r.oneKey, &r.allKeys} {
		for i := range len(keys) * callsOfEach {
			key := keys[0]
			if step == 1 {
				key = keys[i%len(keys)]
			}
			if err := c.Exchange(firstQuestion(gateway.Address(), key)); err != nil {
				return err
			}
		}
		if err := resident(ctx, gateway.Process, to); err != nil {
			return err
		}
	}
	return r.measureStockAfter(ctx, f, built, up, len(keys)*callsOfEach)
}

// measureStockAfter has stock Caddy pass on as many calls as the gateway had.
func (r *resources) measureStockAfter(ctx context.Context, f *fleet.Fleet, built binaries, up *fleet.Process, calls int) error {
	stock, err := f.Stock(ctx, built.stock, up.Port)
	if err != nil {
		return err
	}
	defer stock.Stop()
	c, err := load.Dial(ctx, stock.Address())
	if err != nil {
		return err
	}
	defer c.Close()
	request := firstQuestion(stock.Address(), "none")
	for range calls {
		if err := c.Exchange(request); err != nil {
			return err
		}
	}
	return resident(ctx, stock.Process, &r.stockAfter)
}
