package sqlite

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const benchRows = 1000

func BenchmarkAddUsage(b *testing.B) {
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
			store := newStore(b)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range rows {
					rows[i].Minute = minute.Add(time.Duration(n/every) * time.Minute)
				}
				if err := store.AddUsage(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchRows), "µs/row")
		})
	}
}

func BenchmarkAddCalls(b *testing.B) {
	rows := make([]gateway.CallRow, benchRows)
	for name, prompt := range map[string][]byte{"without prompts": nil, "with prompts of 4 KiB": make([]byte, 4<<10)} {
		b.Run(name, func(b *testing.B) {
			store := newStore(b)
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					rows[i] = gateway.CallRow{
						ID: gateway.NewSecret(""), At: time.Now(), KeyID: "key_1", Surface: "openai", Provider: "openai",
						Model: "smart", Upstream: "gpt", Status: 200, Attempts: 1, Took: time.Second, Prompt: prompt,
					}
				}
				if err := store.AddCalls(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchRows), "µs/row")
		})
	}
}
