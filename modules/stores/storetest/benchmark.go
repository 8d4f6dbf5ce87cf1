package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// BenchmarkKeyByHash measures the lookup of a key among a thousand, and of a hash that is not known.
func BenchmarkKeyByHash(b *testing.B, store gateway.KeyStore) {
	var known gateway.KeyHash
	for range 1000 {
		known = newKeyHash()
		key := &gateway.Key{ID: newKeyID(), Name: "ci", Limits: gateway.DefaultKeyLimits(), Active: true, Created: time.Now()}
		if err := store.CreateKey(b.Context(), key, known); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	for name, test := range map[string]struct {
		hash gateway.KeyHash
		want error
	}{
		"known":   {known, nil},
		"unknown": {newKeyHash(), gateway.ErrKeyNotFound},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.KeyByHash(b.Context(), test.hash, now); !errors.Is(err, test.want) {
					b.Fatal(err)
				}
			}
		})
	}
}

const benchRows = 1000

// BenchmarkAddUsage measures how long a row of usage takes, whether its sum is new or not. Each call of open must return
// a ledger that holds nothing yet.
func BenchmarkAddUsage(b *testing.B, open func(*testing.B) gateway.Ledger) {
	minute := time.Now().Truncate(time.Minute)
	rows := make([]gateway.UsageRow, benchRows)
	for i := range rows {
		rows[i] = gateway.UsageRow{
			KeyID: gateway.NewSecret("key_"), Team: "platform", Surface: "openai", Provider: "openai", Model: "smart",
			Calls: 3, Usage: dialect.Usage{Input: 1000, Output: 100},
		}
	}
	// A minute's rows are added to from each second of it.
	for name, every := range map[string]int{"new sums": 1, "same sums": 60} {
		b.Run(name, func(b *testing.B) {
			ledger := open(b)
			b.ReportAllocs()
			batch := gateway.Batch{Writer: gateway.NewWriter()}
			for n := 0; b.Loop(); n++ {
				batch.Number++
				for i := range rows {
					rows[i].Minute = minute.Add(time.Duration(n/every) * time.Minute)
				}
				if err := ledger.AddUsage(b.Context(), batch, rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchRows), "µs/row")
		})
	}
}

// BenchmarkAddCalls measures how long a row of the request log takes. Each call of open must return a ledger that holds
// nothing yet.
func BenchmarkAddCalls(b *testing.B, open func(*testing.B) gateway.Ledger) {
	rows := make([]gateway.CallRow, benchRows)
	for name, prompt := range map[string][]byte{"without prompts": nil, "with prompts of 4 KiB": make([]byte, 4<<10)} {
		b.Run(name, func(b *testing.B) {
			ledger := open(b)
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					rows[i] = gateway.CallRow{
						ID: gateway.NewSecret(""), At: time.Now(), KeyID: "key_1", Surface: "openai", Provider: "openai",
						Model: "smart", Upstream: "gpt", Status: 200, Attempts: 1, Took: time.Second, Prompt: prompt,
					}
				}
				if err := ledger.AddCalls(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchRows), "µs/row")
		})
	}
}
