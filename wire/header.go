package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Version is the version of the wire that this package speaks, major.minor.
// Hosts of the same major version understand each other.
const Version = "1.0"

const majorVersion = 1

// The headers. They are written in their canonical form, so that they can be
// looked up in a http.Header directly.
const (
	headerVersion   = "Whiskaway-Version"
	headerFunction  = "Whiskaway-Function"
	headerLease     = "Whiskaway-Lease"
	headerTTL       = "Whiskaway-Ttl"       // milliseconds
	headerTimeout   = "Whiskaway-Timeout"   // milliseconds left
	headerNamespace = "Whiskaway-Namespace" // the only one that the caller acts for
	headerStarted   = "Whiskaway-Started"   // "no": the run certainly never started
	headerTrace     = "Traceparent"
	headerServer    = "Whiskaway-Server"  // the id of a server that joins
	headerName      = "Whiskaway-Name"    // its name, percent-encoded
	headerSession   = "Whiskaway-Session" // tells its connections from a former process's
	// Where it can be dialled too, and the token for that, which is secret.
	headerAdvertise      = "Whiskaway-Advertise"
	headerAdvertiseToken = "Whiskaway-Advertise-Token"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeFrames = "application/x-whiskaway-frames"
)

// checkVersion refuses a sender that speaks a later major version. No version
// at all is fine: that is a person with curl.
func checkVersion(h http.Header) error {
	version := first(h, headerVersion)
	if version == "" || version == Version {
		return nil
	}
	text, _, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(text)
	if err != nil || major < 0 {
		return function.Errorf(function.CodeBadRequest, "%s: %q is not a version such as %s", headerVersion, version, Version)
	}
	if major > majorVersion {
		return function.Errorf(function.CodeBadRequest,
			"the other side speaks version %s of the wire, this one %s: this one must be updated", version, Version)
	}
	return nil
}

// checkOnce refuses a request that says something of ours twice: somebody on the
// way may have believed the other one.
func checkOnce(h http.Header) error {
	for name, values := range h {
		if len(values) > 1 && (name == "Authorization" || strings.HasPrefix(name, "Whiskaway-")) {
			return function.Errorf(function.CodeBadRequest, "the header %s is there %d times; send it once", name, len(values))
		}
	}
	return nil
}

// first returns the first value of a header with a canonical name.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// durationHeader reads a number of milliseconds; a missing header is 0.
func durationHeader(h http.Header, name string) (time.Duration, error) {
	text := first(h, name)
	if text == "" {
		return 0, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > maxMillis {
		return 0, function.Errorf(function.CodeBadRequest, "%s: %q is not a number of milliseconds", name, text)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// maxMillis is the longest time that can be named, about a hundred years.
const maxMillis = 100 * 365 * 24 * 3600 * 1000

// millis writes a duration for a header, rounded up so that a time that is not
// over never becomes 0, which would mean no limit.
func millis(d time.Duration) string {
	return strconv.FormatInt(roundUp(d), 10)
}

// roundUp is d in milliseconds. What is longer than can be named becomes the longest that can: a
// platform may send any deadline.
func roundUp(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return min(ms, maxMillis)
}
