package invoker

import (
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// record puts an execution into OpenWhisk's words. received is when the invoker
// got it. The stations' times end here: what the answer's way back to the caller
// takes cannot be in the record that the answer carries.
func record(run *bus.Run, e *execution, received time.Time) *store.Record {
	accepted := time.UnixMicro(run.Accepted)
	duration := e.duration()
	r := &store.Record{
		ID: run.ActivationID, Cause: run.Cause,
		Name: run.Action.Name, Namespace: run.Namespace, Subject: run.Subject, Version: run.Action.Version,
		Path:  run.Action.ListPath(),
		Start: e.start.UnixMilli(), End: e.end.UnixMilli(), Duration: &duration,
		Status: e.status, Result: e.result, Logs: e.logs, Unkept: run.Unkept,
		Annotations: []store.Annotation{
			{Key: "path", Value: run.Action.FullName()[1:]},
			{Key: "waitTime", Value: max(e.start.Sub(accepted).Milliseconds(), 0)},
			{Key: "kind", Value: run.Action.Kind},
			{Key: "timeout", Value: e.timeout},
			{Key: "limits", Value: limits(run.Action.Limits)},
		},
	}
	if run.Action.Binding != "" {
		r.Annotations = append(r.Annotations, store.Annotation{Key: "binding", Value: run.Action.Binding})
	}
	if run.CausedBy != "" {
		r.Annotations = append(r.Annotations, store.Annotation{Key: "causedBy", Value: run.CausedBy})
	}
	if e.cold {
		r.Annotations = append(r.Annotations, store.Annotation{Key: "initTime", Value: e.init.Milliseconds()})
	}
	if e.journey != nil {
		now := time.Now()
		e.journey.Cold = e.journey.Cold || e.cold // a worker's start in /init is none of /run's
		e.journey.add("invoker", now.Sub(received))
		e.journey.add("controller", now.Sub(accepted))
		r.Annotations = append(r.Annotations, store.Annotation{Key: "whiskaway", Value: e.journey})
	}
	return r
}

// limits are an action's limits as a record shows them.
type limits bus.Limits

// AppendJSON implements store.JSONAppender.
func (l limits) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"timeout":`...), int64(l.Timeout), 10)
	b = strconv.AppendInt(append(b, `,"memory":`...), int64(l.Memory), 10)
	b = strconv.AppendInt(append(b, `,"logs":`...), int64(l.Logs), 10)
	b = strconv.AppendInt(append(b, `,"concurrency":`...), int64(l.Concurrency), 10)
	return append(b, '}')
}
