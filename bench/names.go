package main

// What the works are called in reports.
const (
	respond     = "stock: respond"
	plain       = "stock: reverse_proxy"
	plainStream = "stock: reverse_proxy, stream of 20 events"
	plainPaced  = "stock: reverse_proxy, stream with an event every 5 ms"
	direct      = "the upstream itself, without a proxy"

	hit              = "cached answer, in memory"
	hitRedis         = "cached answer, limits and cache in Redis"
	analyzeHit       = "/v1/analyze/ from the cache"
	proxied          = "proxied call"
	missed           = "proxied call, to be cached"
	proxiedRedis     = "proxied call, limits in Redis"
	stream           = "proxied stream of 20 events"
	paced            = "proxied stream with an event every 5 ms"
	translated       = "translated call, OpenAI to Anthropic"
	translatedStream = "translated stream, OpenAI to Anthropic"
)
