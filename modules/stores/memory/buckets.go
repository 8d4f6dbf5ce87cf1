package memory

import (
	"math"
	"time"
)

const (
	// bucketCount is into how many buckets a window is divided: units come back up to 1/60 of it late.
	bucketCount = 60
	// fewBuckets is how many buckets a tally starts with, a power of two: of many subjects, most call once in a while.
	fewBuckets = 1
)

// buckets is the compact tally: units are counted by the stretch of time they fall into. A bucket counts
// fully until the last moment of its stretch has left the window, so there is never too little in it.
type buckets struct {
	length time.Duration
	span   time.Duration // of a bucket
	sum    int64
	// oldest and newest are numbers of buckets, counted from the clock's zero. Where sum is zero they mean
	// nothing, and all units are zero.
	oldest, newest int64
	units          []int64 // bucket b is at b modulo the length, a power of two
}

func newBuckets(length time.Duration) *buckets {
	return &buckets{length: length, span: max(length/bucketCount, 1)}
}

func (b *buckets) number(t time.Duration) int64 { return int64(t / b.span) }

func (b *buckets) slot(number int64) *int64 { return &b.units[number&int64(len(b.units)-1)] }

// end is the first moment after a bucket.
func (b *buckets) end(number int64) time.Duration { return time.Duration(number+1) * b.span }

func (b *buckets) used() int64 { return b.sum }

func (b *buckets) expire(now time.Duration) {
	for b.sum > 0 && b.end(b.oldest)+b.length <= now {
		slot := b.slot(b.oldest)
		b.sum -= *slot
		*slot = 0
		b.oldest++
	}
}

func (b *buckets) add(now time.Duration, units int64) {
	number := b.number(now)
	if b.sum == 0 {
		b.oldest = number
	}
	b.reserve(number - b.oldest + 1)
	b.newest = number
	// What a provider reports is not ours to trust: the sum must not run over.
	units = min(units, math.MaxInt64-b.sum)
	*b.slot(number) += units
	b.sum += units
}

// reserve makes room for a number of buckets, of which a window never needs many more than bucketCount.
func (b *buckets) reserve(room int64) {
	size := int64(max(len(b.units), fewBuckets))
	for size < room {
		size *= 2
	}
	if size == int64(len(b.units)) {
		return
	}
	grown := buckets{units: make([]int64, size)}
	if b.sum > 0 {
		for number := b.oldest; number <= b.newest; number++ {
			*grown.slot(number) = *b.slot(number)
		}
	}
	b.units = grown.units
}

func (b *buckets) takeBack(at time.Duration, units int64) {
	number := b.number(at)
	if b.sum == 0 || number < b.oldest || number > b.newest {
		return
	}
	slot := b.slot(number)
	units = min(units, *slot)
	*slot -= units
	b.sum -= units
}

func (b *buckets) freeAt(most int64) time.Duration {
	number := b.oldest
	for left := b.sum - *b.slot(number); left > most; left -= *b.slot(number) {
		number++
	}
	return b.end(number) + b.length
}

// stamps counts the same units one by one, each as late as it can have come.
func (b *buckets) stamps(now time.Duration) *stamps {
	s := &stamps{length: b.length, expired: now - b.length}
	if b.sum > 0 {
		s.reserve(int(b.sum))
		for number := b.oldest; number <= b.newest; number++ {
			s.add(min(b.end(number)-1, now), *b.slot(number))
		}
	}
	return s
}
