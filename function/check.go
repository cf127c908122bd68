package function

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds the texts that name things, in bytes. OpenWhisk's full names have
// at most 770: three parts of 256 and what parts them.
const maxName = 1024

// Check returns a CodeBadRequest error when the spec could not belong to any
// function.
func (s Spec) Check() error {
	for _, f := range []struct{ name, value string }{{"namespace", s.Namespace}, {"action", s.Action}, {"kind", s.Kind}, {"main", s.Main}} {
		if f.value == "" {
			return Errorf(CodeBadRequest, "the function's %s is missing", f.name)
		}
		if err := checkName(f.name, f.value); err != nil {
			return err
		}
	}
	if err := checkName("apiHost", s.APIHost); err != nil {
		return err
	}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return Errorf(CodeBadRequest, "%q cannot be an environment variable: its name must not be empty or have a \"=\", and its value must not have a zero byte", name)
		}
		if strings.HasPrefix(name, "__OW_") {
			return Errorf(CodeBadRequest, "the environment variable %s is the platform's own", name)
		}
	}
	return s.Require.check()
}

// checkName refuses what could not be sent in a header, or be shown to a person.
func checkName(what, text string) error {
	switch {
	case len(text) > maxName:
		return Errorf(CodeBadRequest, "the function's %s has %d bytes, the limit is %d", what, len(text), maxName)
	case strings.ContainsRune(text, 0):
		return Errorf(CodeBadRequest, "the function's %s contains a zero byte", what)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return Errorf(CodeBadRequest, "the function's %s contains a control character, or is not UTF-8", what)
	}
	return nil
}

// maxCount bounds whatever a function asks for by number.
const maxCount = 10_000

// check names what is asked for as a target in main does.
func (r Requirements) check() error {
	for _, f := range []struct {
		name string
		n    int64
		most int64
	}{
		{"memory", r.Memory, maxBytes}, {"gpu", int64(r.GPUs), maxCount}, {"gpu-memory", r.GPUMemory, maxBytes},
		{"workers", int64(r.Workers), maxCount}, {"warm", int64(r.Warm), maxCount}, {"concurrency", int64(r.Concurrency), maxCount},
	} {
		if f.n < 0 || f.n > f.most {
			return Errorf(CodeBadRequest, "%s: %d is not a number from 0 to %d", f.name, f.n, f.most)
		}
	}
	if !slices.IsSorted(r.Labels) {
		return Errorf(CodeBadRequest, "the required labels are not sorted")
	}
	for i, label := range r.Labels {
		if err := CheckLabel(label); err != nil {
			return Errorf(CodeBadRequest, "the required labels: %v", err)
		}
		if i > 0 && label == r.Labels[i-1] {
			return Errorf(CodeBadRequest, "the required labels name %q twice", label)
		}
	}
	return nil
}

// maxBytes is as much as ParseBytes reads.
const maxBytes = 1<<63 - 1

// maxLease bounds a lease's id, in bytes; ours have 32.
const maxLease = 256

// CheckLeaseID returns a CodeBadRequest error unless id is 1 to 256 visible ASCII
// characters, so that it passes every header as it is.
func CheckLeaseID(id string) error {
	visible := func(r rune) bool { return '!' <= r && r <= '~' }
	switch {
	case id == "":
		return Errorf(CodeBadRequest, "the lease has no id")
	case len(id) > maxLease:
		return Errorf(CodeBadRequest, "the lease's id has %d bytes, the limit is %d", len(id), maxLease)
	case strings.ContainsFunc(id, func(r rune) bool { return !visible(r) }):
		return Errorf(CodeBadRequest, "the lease's id has a character that is not visible ASCII")
	}
	return nil
}
