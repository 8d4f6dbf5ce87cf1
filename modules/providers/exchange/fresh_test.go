package exchange

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// source gives numbers, each good for ten minutes from when it was asked for, after a second.
type source struct {
	asked int
	err   error
}

func (s *source) fresh() *Fresh[int] {
	return &Fresh[int]{Ahead: 2 * time.Minute, Fetch: func(ctx context.Context) (int, time.Time, error) {
		s.asked++
		n, err, began := s.asked, s.err, time.Now()
		select {
		case <-time.After(time.Second):
			return n, began.Add(10 * time.Minute), err
		case <-ctx.Done():
			return 0, time.Time{}, ctx.Err()
		}
	}}
}

// get tells what was got and for how long it was waited for.
func get(t *testing.T, f *Fresh[int]) (n int, waited time.Duration) {
	t.Helper()
	began := time.Now()
	n, err := f.Get(t.Context())
	if err != nil {
		t.Errorf("the error is %v", err)
	}
	return n, time.Since(began)
}

func TestWhatHoldsIsThereAtOnceAndTheNextIsFetchedBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(source)
		f := s.fresh()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if n, waited := get(t, f); n != 1 || waited != time.Second {
					t.Errorf("at first it is %d after %s", n, waited)
				}
			})
		}
		all.Wait()
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{7 * time.Minute, 1}, {90 * time.Second, 1}, {2 * time.Second, 2}, {time.Minute, 2}, {8*time.Minute + 30*time.Second, 2}, {2 * time.Second, 3}} {
			time.Sleep(step.after) // of the bubble's clock
			if n, waited := get(t, f); n != step.want || waited != 0 {
				t.Errorf("%s later it is %d after %s, want %d", step.after, n, waited, step.want)
			}
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		if n, waited := get(t, f); n != 4 || waited != time.Second {
			t.Errorf("long after its end it is %d after %s", n, waited)
		}
	})
}

func TestAFetchThatFailsLeavesWhatHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(source)
		f := s.fresh()
		get(t, f)
		s.err = errors.New("nobody answers")
		time.Sleep(8*time.Minute + 30*time.Second)
		for range 60 { // of which the sixtieth is in the last half minute
			if n, waited := get(t, f); n != 1 || waited != 0 {
				t.Errorf("it is %d after %s", n, waited)
			}
			time.Sleep(time.Second)
		}
		if s.asked < 4 || s.asked > 6 {
			t.Errorf("asked was %d times in a minute", s.asked)
		}
		time.Sleep(time.Minute)
		if _, err := f.Get(t.Context()); !errors.Is(err, s.err) {
			t.Errorf("behind its end the error is %v", err)
		}
		s.err = nil
		if n, _ := get(t, f); n != s.asked {
			t.Errorf("it is %d", n)
		}
	})
}

func TestWhatAlwaysEndsSoonIsNotFetchedWithEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(source)
		f := s.fresh()
		f.Ahead = time.Hour
		for range 60 {
			get(t, f)
			time.Sleep(time.Second)
		}
		if s.asked < 4 || s.asked > 6 {
			t.Errorf("asked was %d times in a minute", s.asked)
		}
	})
}

func TestWhoeverLeavesDoesNotEndAFetchForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(source).fresh()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var other sync.WaitGroup
		other.Go(func() {
			synctest.Wait()
			if n, _ := get(t, f); n != 1 {
				t.Errorf("the other gets %d", n)
			}
		})
		if _, err := f.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		other.Wait()
	})
}

func TestAFetchIsBoundedAndEndsWithItsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Fresh[int]{Fetch: func(ctx context.Context) (int, time.Time, error) {
			<-ctx.Done()
			return 0, time.Time{}, ctx.Err()
		}}
		began := time.Now()
		if _, err := f.Get(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != fetchTimeout {
			t.Errorf("after %s the error is %v", time.Since(began), err)
		}
		go func() {
			time.Sleep(time.Second)
			f.Close()
		}()
		if _, err := f.Get(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		f.Close()
	})
}

func TestWhatIsFetchedExpiredIsAnError(t *testing.T) {
	f := &Fresh[int]{Fetch: func(context.Context) (int, time.Time, error) { return 1, time.Now().Add(-time.Second), nil }}
	if _, err := f.Get(t.Context()); !errors.Is(err, errExpired) {
		t.Errorf("the error is %v", err)
	}
}

func TestGettingWhatHoldsAllocatesNothing(t *testing.T) {
	f := &Fresh[int]{Fetch: func(context.Context) (int, time.Time, error) { return 1, time.Time{}, nil }}
	ctx := t.Context()
	get(t, f)
	if n := testing.AllocsPerRun(100, func() { f.Get(ctx) }); n != 0 { //nolint:errcheck // it is there
		t.Errorf("it allocates %v times", n)
	}
}
