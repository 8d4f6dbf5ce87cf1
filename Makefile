# Each target is a line that you could type. `make help` lists them.
export CGO_ENABLED ?= 0
GATEWAY_DATA ?= ./data
export GATEWAY_DATA

LDFLAGS = -s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(shell ./scripts/version.sh)
SOURCES = $(shell find caddy modules -name '*.go' -not -name '*_test.go') $(shell find modules -name '*.sql') go.mod go.sum

.PHONY: help run build test unit race valkey sdk dashboards e2e-llm load-test faults fuzz bench bench-peers bench-scale bench-go lint cover image env compose-test clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

run: bin/caddy ## build and serve Caddyfile on GATEWAY_ADDR (:8000), data in GATEWAY_DATA (./data)
	@mkdir -p "$(GATEWAY_DATA)"
	bin/caddy run --config Caddyfile --adapter caddyfile

build: bin/caddy ## build bin/caddy

bin/caddy: $(SOURCES)
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/caddy ./caddy

test: ## install what the tests need, and run them all
	./scripts/test.sh

unit: ## the Go tests, without the race detector
	go test ./...

race: ## the Go tests, with the race detector
	CGO_ENABLED=1 go test -race ./...

valkey: ## the Redis store's tests, on Valkey
	./e2e/run-valkey.sh

sdk: bin/caddy ## official SDKs, LangChain and the AI SDK against bin/caddy, with a provider of each dialect
	./e2e/run-sdk.sh

e2e-llm: bin/caddy ## a real LLM server behind bin/caddy, asked with the official SDK
	./e2e/run-llama.sh

load-test: bin/caddy ## a load test: SCENARIO=baseline|stress|spike|endurance|native, DURATION=30s
	GATEWAY_BIN=bin/caddy ./scripts/load-test.sh

faults: ## the fault tests at full length
	./scripts/faults.sh

dashboards: ## the dashboards against Grafana's types
	./e2e/run-dashboards.sh

FUZZTIME ?= 10s
fuzz: ## each fuzz target for FUZZTIME (10s)
	./scripts/fuzz.sh $(FUZZTIME)

bin/bench: $(shell find bench -name '*.go' -not -name '*_test.go' -not -path 'bench/stock/*') go.mod go.sum
	go build -o bin/bench ./bench

ROUNDS ?= 5
SECONDS ?= 3
BENCH = bin/bench $(1) -rounds $(ROUNDS) -seconds $(SECONDS) $(FLAGS)

bench: bin/bench ## the gateway's cost beside stock Caddy: ROUNDS=5 SECONDS=3, FLAGS=--help for more
	$(call BENCH,run)

bench-peers: bin/bench ## the gateway's cost beside other gateways
	$(call BENCH,peers)

bench-scale: bin/bench ## how the gateway's cost grows with keys, limits, bodies, answers and streams
	$(call BENCH,scale)

BENCHCOUNT ?= 1
bench-go: ## the Go benchmarks, with allocations: BENCHCOUNT=1
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./modules/...

lint: ## gofmt, go vet, go mod tidy, golangci-lint, actionlint and, where it is installed, shellcheck
	./scripts/lint.sh

cover: ## coverage of the Go tests, by package and in all
	go test -coverprofile coverage.out -coverpkg ./modules/... ./...
	go tool cover -func coverage.out | tail -1

image: ## build the container image caddy-llm:local
	DOCKER_BUILDKIT=1 docker build --build-arg VERSION="$$(./scripts/version.sh)" --tag caddy-llm:local .

env: ## write .env for docker-compose.yml, with random secrets, unless it is there
	./scripts/env.sh

compose-test: ## bring docker-compose.yml up for real, use it, and take it down
	./scripts/compose-test.sh

clean: ## remove what was built; data stays
	rm -rf bin .cache coverage.out
