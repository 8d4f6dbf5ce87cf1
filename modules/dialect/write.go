package dialect

import "strconv"

// Member appends a member's name to an object that dst ends in, with a comma where it is not the first.
func Member(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(String(dst, name), ':')
}

// Element prepares an array that dst ends in for one more element.
func Element(dst []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return dst
}

// TextMember appends a member that is a string; none where the text is empty.
func TextMember(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return String(Member(dst, name), text)
}

// InsideMember appends a member that is a string; none where in is nil.
func InsideMember(dst []byte, name string, in Inside) []byte {
	if in == nil {
		return dst
	}
	return in.Quote(Member(dst, name))
}

// RawMember appends a member; none where there is no value.
func RawMember(dst []byte, name string, value Raw) []byte {
	if value.Null() {
		return dst
	}
	return append(Member(dst, name), value...)
}

// IntMember appends a member that is an integer.
func IntMember(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(Member(dst, name), n, 10)
}

// FlagMember appends a member that is true or false; none where it is Unset.
func FlagMember(dst []byte, name string, f Flag) []byte {
	switch f {
	case On:
		return append(Member(dst, name), "true"...)
	case Off:
		return append(Member(dst, name), "false"...)
	}
	return dst
}
