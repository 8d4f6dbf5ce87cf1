// Command bench measures what the gateway costs beside stock Caddy and beside other gateways.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

const help = `Measures what the gateway costs. Run it from the repository, by make:

  make bench          the gateway beside stock Caddy of the same version
  make bench-peers    the gateway beside other gateways
  make bench-scale    how the gateway's cost grows with keys, limits, bodies, answers and streams

  ROUNDS=5 SECONDS=3  how often each work is measured, and for how long
  FLAGS="..."         further flags, as below

It needs Linux with two cores that nothing else uses, taskset, redis-server and Go. The server that is measured has the first
core for itself; load, upstream and Redis share the others. Ctrl-C ends all that it has started.

Usage: bench run|peers|scale|profile [flags]
`

// flags are those that the commands share.
type flags struct {
	rounds    int
	seconds   float64
	rate      float64
	out       string
	allowBusy bool
	only      string
	full      bool
}

// measuring is the time for one work in one way.
func (f flags) measuring() time.Duration { return time.Duration(f.seconds * float64(time.Second)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil && interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted; all that was started is ended")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, flags) error{"run": runGateway, "profile": runProfiles, "peers": runPeers, "scale": runScale}
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, help)
		return errors.New("say what to measure: run, peers or scale")
	}
	if args[0] == "upstream" {
		return serveUpstream(ctx, args[1:])
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprint(os.Stderr, help)
		if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
			return nil
		}
		return fmt.Errorf("unknown command %q; it is run, peers or scale", args[0])
	}
	var f flags
	set := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	set.Usage = func() {
		fmt.Fprint(set.Output(), help+"\nFlags:\n")
		set.PrintDefaults()
	}
	set.IntVar(&f.rounds, "rounds", 5, "how often each work is measured")
	set.Float64Var(&f.seconds, "seconds", 3, "how long each measurement is")
	set.Float64Var(&f.rate, "rate", 1000, "requests a second of open loops")
	set.StringVar(&f.out, "out", "bench/results", "the directory for the results")
	set.BoolVar(&f.allowBusy, "allow-busy", false, "report on a busy machine as well, and say that the report does not count")
	if args[0] == "profile" || args[0] == "scale" {
		set.StringVar(&f.only, "only", "", "measure only what has this in its name")
	}
	if args[0] == "scale" {
		set.BoolVar(&f.full, "full", false, "go up to a million keys and answers, which takes half an hour")
	}
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	if f.rounds < 1 || f.seconds <= 0 || f.rate <= 0 || set.NArg() > 0 {
		return errors.New("rounds, seconds and rate are above zero, and there are no arguments beside flags")
	}
	return command(ctx, f)
}

// serveUpstream is what the fleet runs as the provider.
func serveUpstream(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("bench upstream", flag.ContinueOnError)
	listen := set.String("listen", "127.0.0.1:9000", "where it listens")
	latency := set.Duration("latency", 0, "wait before each answer")
	if err := set.Parse(args); err != nil {
		return err
	}
	return upstream.Serve(ctx, *listen, *latency)
}
