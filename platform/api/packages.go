package api

import (
	"net/http"

	"github.com/whiskaway/whiskaway/platform/controller"
)

func (a *API) packages(q *request) (reply, error) {
	if q.isList() {
		return listing(q, "packages",
			func(page controller.Page) ([]controller.PackageSummary, error) {
				return a.controller.Packages(q.Context(), q.by, q.namespace, page)
			},
			func(skip int) (int, error) {
				return a.controller.CountPackages(q.Context(), q.by, q.namespace, skip)
			})
	}
	name, err := q.simpleName()
	if err != nil {
		return reply{}, err
	}
	switch q.Method {
	case http.MethodGet:
		return answer(a.controller.Package(q.Context(), q.by, name))
	case http.MethodPut:
		var put controller.PutPackage
		overwrite, err := q.put(&put, a.controller.Limits())
		if err != nil {
			return reply{}, err
		}
		return answer(a.controller.PutPackage(q.Context(), q.by, name, put, overwrite))
	case http.MethodDelete:
		force, err := q.flag("force", false)
		if err != nil {
			return reply{}, err
		}
		return answer(a.controller.DeletePackage(q.Context(), name, force))
	}
	return reply{}, notAllowed("GET", "PUT", "DELETE")
}
