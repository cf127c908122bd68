package api

import (
	"net/http"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

func (a *API) rules(q *request) (reply, error) {
	if q.isList() {
		return listing(q, "rules", func(page controller.Page) ([]controller.Rule, error) {
			return a.controller.Rules(q.Context(), q.namespace, page)
		}, a.numberOf(q, store.Rules))
	}
	name, err := q.simpleName()
	if err != nil {
		return reply{}, err
	}
	switch q.Method {
	case http.MethodPost:
		return a.setRule(q, name)
	case http.MethodGet:
		return answer(a.controller.Rule(q.Context(), name))
	case http.MethodPut:
		var put controller.PutRule
		overwrite, err := q.put(&put, a.controller.Limits())
		if err != nil {
			return reply{}, err
		}
		return answer(a.controller.PutRule(q.Context(), q.by, name, put, overwrite))
	case http.MethodDelete:
		return answer(a.controller.DeleteRule(q.Context(), name))
	}
	return reply{}, notAllowed("GET", "PUT", "POST", "DELETE")
}

func (a *API) setRule(q *request, name controller.Name) (reply, error) {
	var body struct {
		Status string `json:"status"`
	}
	if err := q.decode(&body, a.controller.Limits().Payload); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK}, a.controller.SetRuleStatus(q.Context(), name, body.Status)
}
