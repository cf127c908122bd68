package api

import (
	"net/http"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

func (a *API) triggers(q *request) (reply, error) {
	if q.isList() {
		return listing(q, "triggers", func(page controller.Page) ([]controller.Common, error) {
			return a.controller.Triggers(q.Context(), q.namespace, page)
		}, a.numberOf(q, store.Triggers))
	}
	name, err := q.simpleName()
	if err != nil {
		return reply{}, err
	}
	switch q.Method {
	case http.MethodPost:
		return a.fire(q, name)
	case http.MethodGet:
		return answer(a.controller.Trigger(q.Context(), name))
	case http.MethodPut:
		var put controller.Put
		overwrite, err := q.put(&put, a.controller.Limits())
		if err != nil {
			return reply{}, err
		}
		return answer(a.controller.PutTrigger(q.Context(), name, put, overwrite))
	case http.MethodDelete:
		return answer(a.controller.DeleteTrigger(q.Context(), name))
	}
	return reply{}, notAllowed("GET", "PUT", "POST", "DELETE")
}

// put reads the body of a PUT that carries no code, and its flag.
func (q *request) put(v any, l controller.Limits) (overwrite bool, err error) {
	if overwrite, err = q.flag("overwrite", false); err != nil {
		return false, err
	}
	return overwrite, q.decode(v, 2*l.Payload)
}

func (a *API) fire(q *request, name controller.Name) (reply, error) {
	args, err := q.args(a.controller.Limits().Payload)
	if err != nil {
		return reply{}, err
	}
	if args[0] != '{' {
		return reply{}, controller.Malformed("Object expected; a trigger's parameters are a JSON object")
	}
	id, err := a.controller.Fire(q.Context(), controller.Firing{By: q.by, Trigger: name, Args: args, Transaction: q.transaction})
	if err != nil {
		return reply{}, err
	}
	if id == "" {
		return reply{status: http.StatusNoContent}, nil
	}
	q.w.Header().Set("x-openwhisk-activation-id", id)
	return reply{http.StatusAccepted, map[string]string{"activationId": id}}, nil
}
