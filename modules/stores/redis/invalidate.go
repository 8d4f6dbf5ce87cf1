package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

const (
	// A first level that was lost comes back after a pause, which doubles from the least to the most.
	leastPause = 50 * time.Millisecond
	mostPause  = 500 * time.Millisecond
	// mastersEvery is how often Cluster or Sentinel is asked who the masters are.
	mastersEvery = 500 * time.Millisecond
)

var errMasters = errors.New("the masters have changed")

// watch begins to listen for changes, with the first call.
func (a *Answers) watch() {
	if a.first == nil {
		return
	}
	a.watching.Do(func() { a.tasks.begin(a.listen) })
}

// listen has a first level for as long as Redis tells of changes, over and over.
func (a *Answers) listen(ctx context.Context) {
	pause, refused := leastPause, false
	for ctx.Err() == nil {
		had, err := a.session(ctx)
		if had {
			pause, refused = leastPause, false
		}
		if !had && !refused && refusal(err) {
			refused = true
			a.log.Warn("redis does not tell of changes; every cached answer costs a round trip", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause/2)):
		}
		pause = min(2*pause, mostPause)
	}
}

// refusal tells whether Redis answers but does not do what it is asked, as without the right to. Redis that is away or only
// starting is the client's to report.
func refusal(err error) bool {
	_, replied := errors.AsType[goredis.Error](err)
	return replied && !goredis.IsLoadingError(err) && !goredis.IsMasterDownError(err) && !goredis.IsClusterDownError(err)
}

// session has a first level until it is lost, and tells whether there was one.
func (a *Answers) session(ctx context.Context) (had bool, err error) {
	watches, err := openWatches(ctx, a.client)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	level := &level{store: a.first(), watches: watches}
	lost := make(chan error, len(watches.byAddress)+1)
	var running sync.WaitGroup
	for _, w := range watches.byAddress {
		running.Go(func() {
			lost <- w.run(ctx, level.dropName)
			w.close()
		})
	}
	if a.client.mastersChange() {
		running.Go(func() { lost <- watches.compare(ctx) })
	}
	a.level.Store(level)
	err = <-lost
	a.level.Store(nil)
	cancel()
	running.Wait()
	return true, err
}

// watches listen to all masters: there is only one, except on Cluster.
type watches struct {
	byAddress map[string]*watch
	cluster   *goredis.ClusterClient // nil where there is only one master
	client    *Client
}

func openWatches(ctx context.Context, client *Client) (ws watches, err error) {
	servers, err := client.masters(ctx)
	if err != nil {
		return ws, err
	}
	ws.client = client
	ws.cluster, _ = client.Redis().(*goredis.ClusterClient)
	ws.byAddress = make(map[string]*watch, len(servers))
	for _, server := range servers {
		w, err := openWatch(ctx, server, client.Timeout())
		if err != nil {
			ws.close()
			return ws, fmt.Errorf("listening to %s: %w", server.Addr, err)
		}
		ws.byAddress[server.Addr] = w
	}
	return ws, nil
}

func (ws watches) close() {
	for _, w := range ws.byAddress {
		w.close()
	}
}

// of finds who listens to the master that has a key, if anybody does.
func (ws watches) of(ctx context.Context, name string) *watch {
	if ws.cluster == nil {
		for _, w := range ws.byAddress {
			return w
		}
	}
	master, err := ws.cluster.MasterForKey(ctx, name)
	if err != nil {
		return nil
	}
	return ws.byAddress[master.Options().Addr]
}

// compare returns once there are other masters. A former one may go on as though nothing had happened, and never tell of a change.
func (ws watches) compare(ctx context.Context) error {
	ticker := time.NewTicker(mastersEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		servers, err := ws.client.masters(ctx)
		if err != nil {
			continue // whoever is away is missed by its own watch
		}
		now := make([]string, len(servers))
		for i, server := range servers {
			now[i] = server.Addr
		}
		slices.Sort(now)
		if !slices.Equal(now, slices.Sorted(maps.Keys(ws.byAddress))) {
			return errMasters
		}
	}
}

// set writes an answer in such a way that Redis does not tell this gateway of it. quiet is false where that is impossible just
// now, and nothing was written.
func (l *level) set(ctx context.Context, name string, frame []byte, ttl time.Duration) (quiet bool, err error) {
	if l == nil {
		return false, nil
	}
	w := l.watches.of(ctx, name)
	if w == nil {
		return false, nil
	}
	return w.set(ctx, name, frame, ttl)
}
