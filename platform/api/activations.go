package api

import (
	"net/http"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

func (a *API) activations(q *request) (reply, error) {
	if q.Method != http.MethodGet {
		return reply{}, notAllowed("GET")
	}
	if q.isList() {
		return a.listActivations(q)
	}
	if err := checkActivationID(q.rest[0]); err != nil {
		return reply{}, err
	}
	act, err := a.controller.Activation(q.Context(), q.namespace, q.rest[0])
	if err != nil {
		return reply{}, err
	}
	switch strings.Join(q.rest[1:], "/") {
	case "":
		return ok(raw(act.Document()))
	case "result":
		return ok(raw(act.Response))
	case "logs":
		return ok(raw(`{"logs":` + string(act.Logs) + `}`))
	}
	return reply{}, notFound()
}

func checkActivationID(id string) error {
	if len(id) != 32 {
		return controller.Refuse(http.StatusBadRequest, "Activation id length is %d but must be 32.", len(id))
	}
	if strings.Trim(id, "0123456789abcdefABCDEF") != "" {
		return controller.Refuse(http.StatusBadRequest, "The activation id is not valid.")
	}
	return nil
}

func (a *API) listActivations(q *request) (reply, error) {
	f, err := q.filter()
	if err != nil {
		return reply{}, err
	}
	count, err := q.flag("count", false)
	if err != nil {
		return reply{}, err
	}
	if count && f.Docs {
		return reply{}, controller.Refuse(http.StatusBadRequest, "The parameter 'docs' is not permitted with 'count'.")
	}
	if count {
		n, err := a.controller.CountActivations(q.Context(), f)
		return answer(map[string]int{"activations": n}, err)
	}
	list, err := a.controller.Activations(q.Context(), f)
	return answer(joinActivations(list, f.Docs), err)
}

func (q *request) filter() (f store.Filter, err error) {
	page, err := q.page("activations")
	if err != nil {
		return f, err
	}
	f = store.Filter{Namespace: q.namespace, Limit: page.Limit, Skip: page.Skip, Path: strings.TrimSpace(q.query.Get("name"))}
	if strings.Count(f.Path, "/") > 1 {
		return f, malformedQuery("name", "Parameter may be a 'simple' name or 'package-name/simple' name: %s", f.Path)
	}
	if f.Docs, err = q.flag("docs", false); err != nil {
		return f, err
	}
	if f.Since, err = q.epoch("since"); err != nil {
		return f, err
	}
	f.Upto, err = q.epoch("upto")
	return f, err
}

// joinActivations makes one JSON array, of whole records or of their heads.
func joinActivations(list []*store.Activation, docs bool) raw {
	b := raw{'['}
	for i, act := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if docs {
			b = append(b, act.Document()...)
		} else {
			b = append(b, act.Head...)
		}
	}
	return append(b, ']')
}
