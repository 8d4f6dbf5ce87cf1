package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// RedisReads is how often a Redis has read from its clients: once for each command or pipeline, so for each round trip.
func RedisReads(ctx context.Context, redis *Process) (int64, error) {
	text, err := redisInfo(ctx, redis, "stats")
	if err != nil {
		return 0, err
	}
	value, ok := infoField(text, "total_reads_processed")
	if !ok {
		return 0, fmt.Errorf("asking Redis: no total_reads_processed in %q", text)
	}
	return strconv.ParseInt(value, 10, 64)
}

// RedisScripts is how many scripts a Redis has run: one for each decision on a tenant's limits.
func RedisScripts(ctx context.Context, redis *Process) (int64, error) {
	text, err := redisInfo(ctx, redis, "commandstats")
	if err != nil {
		return 0, err
	}
	value, ok := infoField(text, "cmdstat_evalsha")
	if !ok {
		return 0, nil // none yet
	}
	calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
	return strconv.ParseInt(calls, 10, 64)
}

// RedisVersion is what a Redis says that it is.
func RedisVersion(ctx context.Context, redis *Process) (string, error) {
	text, err := redisInfo(ctx, redis, "server")
	version, _ := infoField(text, "redis_version")
	return version, err
}

// redisInfo asks with a connection of its own, as a person at a terminal would.
func redisInfo(ctx context.Context, redis *Process, section string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", redis.Address())
	if err != nil {
		return "", fmt.Errorf("asking Redis: %w", err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "INFO %s\r\n", section); err != nil {
		return "", fmt.Errorf("asking Redis: %w", err)
	}
	read := bufio.NewReader(conn)
	size, err := read.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("asking Redis: %w", err)
	}
	n, err := strconv.Atoi(strings.Trim(size, "$\r\n"))
	if err != nil {
		return "", fmt.Errorf("asking Redis: %q", size)
	}
	text := make([]byte, n)
	for at := 0; at < n; {
		got, err := read.Read(text[at:])
		if err != nil {
			return "", fmt.Errorf("asking Redis: %w", err)
		}
		at += got
	}
	return string(text), nil
}

func infoField(info, name string) (string, bool) {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
