package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// A conn is a lean HTTP/1.1 client on one kept connection, so that the load
// generator costs little beside what it measures. It knows just as much of
// HTTP as the servers here need: answers with a Content-Length.
type conn struct {
	c       net.Conn
	in      *bufio.Reader
	request []byte // whole: head and body
	idAt    int    // where the id's digits are in it
	body    []byte
}

// idMark stands for the id in a request's body; it has as many digits as an id.
const idMark = "999999999999"

// dial connects to addr. Each call posts body, with the id for idMark, to path.
func dial(addr, path, header, body string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", path, addr, header, len(body))
	request := []byte(head + body)
	return &conn{c: c, in: bufio.NewReader(c), request: request, idAt: bytes.LastIndex(request, []byte(idMark))}, nil
}

func (c *conn) close() error { return c.c.Close() }

// call implements caller.
func (c *conn) call(id int64) error {
	strconv.AppendInt(c.request[c.idAt:c.idAt], id, 10)
	if _, err := c.c.Write(c.request); err != nil {
		return fmt.Errorf("sending a question: %w", err)
	}
	status, err := c.readAnswer()
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if status != 200 {
		return fmt.Errorf("the answer's status is %d: %s", status, c.body)
	}
	return checkID(c.body, id)
}

// readAnswer reads an answer, and leaves its body in c.body.
func (c *conn) readAnswer() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("not an HTTP answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("not a status: %q", line)
	}
	length, err := c.readHeader()
	if err != nil {
		return 0, err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, err
}

// readHeader reads up to the empty line, and returns the Content-Length.
func (c *conn) readHeader() (length int, err error) {
	length = -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, fmt.Errorf("not a length: %q", line)
			}
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("the answer has no Content-Length")
	}
	return length, nil
}

// checkID checks that a JSON text has "id" with this number, whatever else.
func checkID(body []byte, id int64) error {
	const key = `"id":`
	if i := bytes.Index(body, []byte(key)); i >= 0 {
		rest := bytes.TrimLeft(body[i+len(key):], " ")
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if got, err := strconv.ParseInt(string(rest[:end]), 10, 64); err == nil && got == id {
			return nil
		}
	}
	return fmt.Errorf("asked with id %d, the answer is %.200q", id, body)
}
