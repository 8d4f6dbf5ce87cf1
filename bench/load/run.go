package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is what to send, and how.
type Plan struct {
	Address     string
	Connections int
	WarmUp      time.Duration // not measured
	Measure     time.Duration

	// Next is the n-th request of a connection, both from 0. It is called by many goroutines and should cost nothing.
	Next func(connection, n int) []byte

	// Rate, where it is above zero, is how many requests a second are sent, whether the server keeps up or not: an open loop.
	// Without it each connection sends its next request as the last one is answered: a closed loop.
	Rate float64

	// Began and Ended are called as measuring begins and ends, where they are not nil.
	Began, Ended func() error
}

// Result is what was measured.
type Result struct {
	Elapsed time.Duration

	// Latencies are in ascending order, one for each answer. In an open loop they count from when a request was due, so that a
	// server that stalls does not hide behind those that could not be sent.
	Latencies []time.Duration
}

// runner is one plan on its way.
type runner struct {
	plan      Plan
	connected []*Connection
	latencies [][]time.Duration // by connection
	measuring atomic.Bool
	due       atomic.Int64 // how many requests of an open loop were taken
	start     time.Time
}

// Run carries a plan out. The first error ends it.
func Run(ctx context.Context, plan Plan) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{plan: plan, latencies: make([][]time.Duration, plan.Connections)}
	for range plan.Connections {
		c, err := Dial(ctx, plan.Address)
		if err != nil {
			return Result{}, err
		}
		defer c.Close()
		r.connected = append(r.connected, c)
	}
	send := r.closed
	if plan.Rate > 0 {
		send = r.open
	}
	r.start = time.Now()
	stop, halt := context.WithCancel(ctx)
	defer halt()
	var senders sync.WaitGroup
	for i := range r.connected {
		senders.Go(func() {
			if err := send(stop, i); err != nil {
				cancel(err)
			}
		})
	}
	elapsed, err := r.watch(ctx)
	halt()
	senders.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return Result{}, err
	}
	all := slices.Concat(r.latencies...)
	if len(all) == 0 {
		return Result{}, fmt.Errorf("no answer within %s", plan.Measure)
	}
	slices.Sort(all)
	return Result{Elapsed: elapsed, Latencies: all}, nil
}

// watch says when measuring begins and ends.
func (r *runner) watch(ctx context.Context) (elapsed time.Duration, err error) {
	if err := pause(ctx, r.plan.WarmUp); err != nil {
		return 0, err
	}
	if r.plan.Began != nil {
		if err := r.plan.Began(); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	r.measuring.Store(true)
	if err := pause(ctx, r.plan.Measure); err != nil {
		return 0, err
	}
	r.measuring.Store(false)
	elapsed = time.Since(began)
	if r.plan.Ended != nil {
		err = r.plan.Ended()
	}
	return elapsed, err
}

func (r *runner) closed(stop context.Context, connection int) error {
	for n := 0; stop.Err() == nil; n++ {
		began := time.Now()
		if err := r.connected[connection].Exchange(r.plan.Next(connection, n)); err != nil {
			return err
		}
		if r.measuring.Load() {
			r.latencies[connection] = append(r.latencies[connection], time.Since(began))
		}
	}
	return nil
}

func (r *runner) open(stop context.Context, connection int) error {
	interval := time.Duration(float64(time.Second) / r.plan.Rate)
	for n := 0; ; n++ {
		due := r.start.Add(time.Duration(r.due.Add(1)-1) * interval)
		if err := pause(stop, time.Until(due)); err != nil {
			return nil // the end of the plan
		}
		if err := r.connected[connection].Exchange(r.plan.Next(connection, n)); err != nil {
			return err
		}
		if r.measuring.Load() {
			r.latencies[connection] = append(r.latencies[connection], time.Since(due))
		}
	}
}

// pause waits, and returns early with the reason where the context ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
