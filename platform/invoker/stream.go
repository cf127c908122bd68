package invoker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/stream"
)

// maxEvent bounds one event of a container's stream, in bytes: as long as a runtime's
// result may be, and some.
const maxEvent = 64 << 20

// untilLeft returns a ctx that also ends when the run's reader, if it has one, has left.
func untilLeft(ctx context.Context, run *bus.Run) (context.Context, context.CancelFunc) {
	if run.Reader == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-run.Reader.Gone():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// hasLeft reports whether the run had a reader that has left.
func hasLeft(run *bus.Run) bool {
	if run.Reader == nil {
		return false
	}
	select {
	case <-run.Reader.Gone():
		return true
	default:
		return false
	}
}

// errUnread says that a stream's reader does not take what comes.
var errUnread = errors.New("nobody reads the stream")

func isEvents(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), stream.TypeEvents)
}

// readEvents passes the events of a container's answer on, and returns the answer that
// they come to for the record. Up to limit bytes of the items are kept for that.
func readEvents(resp *http.Response, limit int64, reader bus.Reader) (answer, error) {
	events := stream.NewReader(resp.Body, maxEvent)
	kept := items{limit: limit}
	for {
		name, data, err := events.Next()
		if err == io.EOF {
			return answer{}, io.ErrUnexpectedEOF // the end has not come
		}
		if err != nil {
			return answer{}, err
		}
		if err := reader.Event(name, data); err != nil {
			return answer{}, fmt.Errorf("%w: %w", errUnread, err)
		}
		if name == stream.EventEnd {
			ans, err := kept.answer(data)
			if err == nil {
				err = readTrailers(resp, &ans)
			}
			return ans, err
		}
		kept.add(data)
	}
}

// readTrailers reads what follows the last event.
func readTrailers(resp *http.Response, ans *answer) error {
	if n, err := io.Copy(io.Discard, resp.Body); n > 0 || err != nil {
		return errors.Join(err, errors.New("the container's stream goes on behind its end"))
	}
	ans.header = resp.Trailer
	return nil
}

// items are what a record needs of a stream.
type items struct {
	limit int64
	size  int64 // of all
	all   []byte
	ends  []int
	last  []byte // the last event, if it is not in all
}

func (i *items) add(data []byte) {
	if i.size += max(int64(len(data)), 1); i.size > i.limit { // empty ones take room, too
		i.last = append(i.last[:0], data...)
		return
	}
	i.all = append(i.all, data...)
	i.ends = append(i.ends, len(i.all))
}

// answer is what the container would have answered to who reads no stream. end is
// the data of the last event.
func (i *items) answer(end []byte) (answer, error) {
	var e stream.End
	if err := json.Unmarshal(end, &e); err != nil {
		return answer{}, fmt.Errorf("the end of a container's stream: %w", err)
	}
	ans := answer{status: http.StatusOK}
	switch {
	case e.Outcome != "ok" && e.Outcome != stream.ApplicationError:
		ans.status, ans.body = http.StatusBadGateway, i.lastEvent()
	case i.size > i.limit:
		ans.truncated, ans.body = true, i.all
		ans.length = i.size
		return ans, nil
	case e.Stream:
		ans.body = stream.Collect(i.all, i.ends)
	default:
		ans.body = i.all
	}
	ans.length = int64(len(ans.body))
	if ans.length > i.limit {
		ans.truncated, ans.body = true, ans.body[:i.limit]
	}
	return ans, nil
}

func (i *items) lastEvent() []byte {
	if i.last != nil {
		return i.last
	}
	if n := len(i.ends); n > 1 {
		return i.all[i.ends[n-2]:]
	}
	return i.all
}
