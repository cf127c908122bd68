package api

import (
	"net/http"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

func (a *API) actions(q *request) (reply, error) {
	switch {
	case q.isList():
		return a.listActions(q, nil)
	case len(q.rest) == 2 && q.rest[1] == "":
		pkg, err := q.by.Name(q.namespace, q.rest[0])
		if err != nil {
			return reply{}, err
		}
		return a.listActions(q, &pkg)
	}
	name, err := q.name()
	if err != nil {
		return reply{}, err
	}
	switch q.Method {
	case http.MethodPost:
		return a.invoke(q, name)
	case http.MethodGet:
		code, err := q.flag("code", true)
		if err != nil {
			return reply{}, err
		}
		return answer(a.controller.Action(q.Context(), q.by, name, code))
	case http.MethodPut:
		return a.putAction(q, name)
	case http.MethodDelete:
		return answer(a.controller.DeleteAction(q.Context(), name))
	}
	return reply{}, notAllowed("GET", "PUT", "POST", "DELETE")
}

func (a *API) listActions(q *request, pkg *controller.Name) (reply, error) {
	return listing(q, "actions",
		func(page controller.Page) ([]controller.ActionSummary, error) {
			if pkg == nil {
				return a.controller.Actions(q.Context(), q.by, q.namespace, page)
			}
			return a.controller.PackageActions(q.Context(), q.by, *pkg, page)
		},
		func(skip int) (int, error) {
			return a.controller.CountActions(q.Context(), q.by, q.namespace, pkg, skip)
		})
}

// listing answers a list of entities, or their number.
func listing[T any](q *request, collection string, list func(controller.Page) ([]T, error), number func(skip int) (int, error)) (reply, error) {
	if q.Method != http.MethodGet {
		return reply{}, notAllowed("GET")
	}
	page, err := q.page(collection)
	if err != nil {
		return reply{}, err
	}
	count, err := q.flag("count", false)
	if err != nil {
		return reply{}, err
	}
	if !count {
		return answer(list(page))
	}
	n, err := number(page.Skip)
	return answer(map[string]int{collection: n}, err)
}

// numberOf counts the entities of a collection of the request's namespace.
func (a *API) numberOf(q *request, in store.Collection) func(skip int) (int, error) {
	return func(skip int) (int, error) { return a.controller.Count(q.Context(), q.namespace, in, nil, skip) }
}

// putBody bounds the body of an action's PUT: code that is text may grow when it is
// written as JSON.
func putBody(l controller.Limits) int64 { return 2*l.Code + 2*l.Payload }

func (a *API) putAction(q *request, name controller.Name) (reply, error) {
	overwrite, err := q.flag("overwrite", false)
	if err != nil {
		return reply{}, err
	}
	var put controller.PutAction
	if err := q.decode(&put, putBody(a.controller.Limits())); err != nil {
		return reply{}, err
	}
	return answer(a.controller.PutAction(q.Context(), q.by, name, put, overwrite))
}

func (a *API) invoke(q *request, name controller.Name) (reply, error) {
	wait, err := q.wait()
	if err != nil {
		return reply{}, err
	}
	onlyResult, err := q.flag("result", false)
	if err != nil {
		return reply{}, err
	}
	args, err := q.args(a.controller.Limits().Payload)
	if err != nil {
		return reply{}, err
	}
	in := controller.Invocation{By: q.by, Action: name, Args: args, Transaction: q.transaction, Wait: wait}
	reading := q.reading(wait > 0 && onlyResult)
	if reading != nil {
		in.Reader = reading
		defer reading.leave()
	}
	id, done, err := a.controller.Invoke(q.Context(), in)
	if err != nil {
		return reply{}, err
	}
	if reading == nil {
		q.w.Header().Set(headerActivation, id)
	} else if reading.end(done) {
		return reply{}, nil
	}
	if done == nil {
		return reply{http.StatusAccepted, map[string]string{"activationId": id}}, nil
	}
	body := raw(done.Result)
	if !onlyResult {
		body = store.JoinRecord(done.Head, done.Response, done.Logs)
	}
	return reply{httpStatus(done), body}, nil
}

func (q *request) args(limit int64) ([]byte, error) {
	body, err := q.body(limit)
	if err != nil {
		return nil, err
	}
	return controller.CheckArgs(body)
}

// httpStatus returns what a blocking caller sees of an activation's status.
func httpStatus(done *bus.Completed) int {
	switch done.Status {
	case store.StatusSuccess:
		return http.StatusOK
	case store.StatusWhiskError:
		return http.StatusInternalServerError
	}
	return http.StatusBadGateway
}
