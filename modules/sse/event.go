package sse

import "bytes"

// AppendData appends an event that has nothing but data. Data of several lines becomes several data fields.
func AppendData(dst, data []byte) []byte {
	for {
		n := lineEnd(data)
		dst = append(dst, "data: "...)
		dst = append(dst, data[:n]...)
		dst = append(dst, '\n')
		if n == len(data) {
			return append(dst, '\n')
		}
		if bytes.HasPrefix(data[n:], []byte("\r\n")) {
			n++
		}
		data = data[n+1:]
	}
}

// DataOf takes the data out of an event that has it in one line, and last.
func DataOf(event []byte) []byte {
	_, data, _ := bytes.Cut(event, []byte("data: "))
	return bytes.TrimSuffix(data, []byte("\n\n"))
}

// AppendEvent appends an event with a type, which must be of one line.
func AppendEvent(dst []byte, typ string, data []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, typ...)
	dst = append(dst, '\n')
	return AppendData(dst, data)
}
