// Package load sends HTTP/1.1 requests that were written beforehand over kept connections, for as little CPU as it takes, so
// that what is measured is the server.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Post is a whole POST request of a JSON body. Headers come in pairs of name and value.
func Post(host, path string, body []byte, headers ...string) []byte {
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, host, len(body))
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&request, "%s: %s\r\n", headers[i], headers[i+1])
	}
	request.WriteString("\r\n")
	request.Write(body)
	return request.Bytes()
}

// Response is what came back, as far as it was kept.
type Response struct {
	Status int
	Head   string
	Body   []byte
}

// Connection is one kept connection. It is used by one goroutine at a time.
type Connection struct {
	net  net.Conn
	read *bufio.Reader
	head []byte // of the answer that is being read
}

// Dial opens a connection, which ends with the context.
func Dial(ctx context.Context, address string) (*Connection, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", address, err)
	}
	c := &Connection{net: conn, read: bufio.NewReaderSize(conn, 32<<10)}
	context.AfterFunc(ctx, func() { conn.Close() })
	return c, nil
}

// Close ends it.
func (c *Connection) Close() error { return c.net.Close() }

// Exchange sends a request and reads its answer to the end. Anything but a 200 is an error that quotes the answer.
func (c *Connection) Exchange(request []byte) error {
	_, err := c.exchange(request, nil)
	return err
}

// Ask is Exchange that keeps the answer.
func (c *Connection) Ask(request []byte) (Response, error) {
	var body bytes.Buffer
	status, err := c.exchange(request, &body)
	return Response{Status: status, Head: string(c.head), Body: body.Bytes()}, err
}

// Begin sends a request and reads the answer's head and its body's first line, which is a stream's first event. The rest is left
// to come.
func (c *Connection) Begin(request []byte) error {
	if _, err := c.net.Write(request); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	status, _, err := c.readHead()
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("answered with %d", status)
	}
	for {
		line, err := c.read.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading a stream's begin: %w", err)
		}
		if bytes.HasPrefix(line, []byte("data:")) {
			return nil
		}
	}
}

func (c *Connection) exchange(request []byte, keep *bytes.Buffer) (status int, err error) {
	if _, err := c.net.Write(request); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	status, length, err := c.readHead()
	if err != nil {
		return 0, err
	}
	if status != 200 && keep == nil {
		keep = new(bytes.Buffer)
	}
	if length >= 0 {
		err = c.readBytes(length, keep)
	} else {
		err = c.readChunks(keep)
	}
	if err != nil {
		return status, err
	}
	if status != 200 {
		return status, fmt.Errorf("answered with %d: %.300s", status, keep.Bytes())
	}
	return status, nil
}

// readHead reads up to the empty line. The length is -1 where the body is chunked.
func (c *Connection) readHead() (status, length int, err error) {
	c.head = c.head[:0]
	length = -2
	for {
		line, err := c.read.ReadSlice('\n')
		if err != nil {
			return 0, 0, fmt.Errorf("reading an answer's head: %w", err)
		}
		c.head = append(c.head, line...)
		line = bytes.TrimRight(line, "\r\n")
		if status == 0 {
			if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
				return 0, 0, fmt.Errorf("reading an answer's head: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, 0, fmt.Errorf("reading an answer's head: %q", line)
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, fmt.Errorf("reading an answer's length: %w", err)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			length = -1
		case bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close")):
			return 0, 0, errors.New("the server closes the connection, so connections would be measured")
		}
	}
	if length == -2 {
		return 0, 0, errors.New("reading an answer: it has no length")
	}
	return status, length, nil
}

func (c *Connection) readChunks(keep *bytes.Buffer) error {
	for {
		line, err := c.read.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading a chunk: %w", err)
		}
		size, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return fmt.Errorf("reading a chunk's size: %w", err)
		}
		if err := c.readBytes(int(size), keep); err != nil {
			return err
		}
		if _, err := c.read.Discard(2); err != nil {
			return fmt.Errorf("reading a chunk's end: %w", err)
		}
		if size == 0 {
			return nil
		}
	}
}

func (c *Connection) readBytes(n int, keep *bytes.Buffer) error {
	var err error
	if keep != nil {
		_, err = io.CopyN(keep, c.read, int64(n))
	} else {
		_, err = c.read.Discard(n)
	}
	if err != nil {
		return fmt.Errorf("reading an answer's body: %w", err)
	}
	return nil
}

// Drain reads until the connection ends.
func (c *Connection) Drain() { io.Copy(io.Discard, c.read) } //nolint:errcheck // its end is expected
