package stream

import "bytes"

// Collect returns the answer that the items of a whole stream come to, for who
// gets one object; see the package's own words. The items lie in all, one behind the
// other; ends is where each ends. What it returns may be a part of all.
func Collect(all []byte, ends []int) []byte {
	if n := len(ends); n > 0 {
		start := 0
		if n > 1 {
			start = ends[n-2]
		}
		last := all[start:ends[n-1]]
		if answer := answerOf(last); answer != nil {
			return answer
		}
		if only(last, "error") != nil {
			return last
		}
	}
	return list(all, ends)
}

// answerOf returns the answer that an item names, or nil.
func answerOf(item []byte) []byte {
	value := only(item, "result")
	if len(value) > 0 && (value[0] == '{' || value[0] == '[') {
		return value
	}
	return nil
}

// list returns {"items":[…]}.
func list(all []byte, ends []int) []byte {
	const head, tail = `{"items":[`, `]}`
	out := make([]byte, 0, len(head)+len(all)+len(ends)+len(tail))
	out = append(out, head...)
	start := 0
	for i, end := range ends {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, all[start:end]...)
		start = end
	}
	return append(out, tail...)
}

const space = " \t\r\n"

// only returns the value of an object that has the one key, and nil for everything
// else. The item should be JSON.
func only(item []byte, key string) []byte {
	p := bytes.Trim(item, space)
	if len(p) < len(key)+5 || p[0] != '{' {
		return nil
	}
	p = bytes.TrimLeft(p[1:len(p)-1], space)
	if len(p) < len(key)+3 || p[0] != '"' || string(p[1:1+len(key)]) != key || p[1+len(key)] != '"' {
		return nil
	}
	p = bytes.TrimLeft(p[len(key)+2:], space)
	if len(p) == 0 || p[0] != ':' {
		return nil
	}
	value := bytes.Trim(p[1:], space)
	if len(value) == 0 || !isOne(value) {
		return nil
	}
	return value
}

// isOne reports whether no comma lies beside the value, so that nothing follows it.
func isOne(value []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			return false
		}
	}
	return true
}
