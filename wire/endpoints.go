package wire

import (
	"net/http"
	"strings"
)

// An access is what an endpoint asks of a token's role.
type access int

const (
	forAnyone access = iota
	forJoin
	forClient
	forAdmin
)

func (a access) allows(role Role) bool {
	switch a {
	case forJoin:
		return role == RoleJoin
	case forClient:
		return role == RoleClient || role == RoleAdmin
	case forAdmin:
		return role == RoleAdmin
	}
	return a == forAnyone
}

// An endpoint is one path. serve's error means that nothing was answered yet
// and nothing was started.
type endpoint struct {
	method string
	needs  access
	serve  func(*Handler, http.ResponseWriter, *http.Request, Principal) error
}

// allowed lists the methods of the path.
func (e endpoint) allowed(path string) []string {
	if path == tokensPath {
		return []string{http.MethodGet + ", " + http.MethodPost}
	}
	return []string{e.method}
}

// endpointOf returns the endpoint for a path, and where it has several methods, for that one.
func endpointOf(path, method string) (endpoint, bool) {
	switch path {
	case "/run":
		return endpoint{http.MethodPost, forClient, (*Handler).run}, true
	case "/init":
		return endpoint{http.MethodPost, forClient, (*Handler).init}, true
	case "/renew":
		return endpoint{http.MethodPost, forClient, (*Handler).renew}, true
	case "/stop":
		return endpoint{http.MethodPost, forClient, (*Handler).stop}, true
	case "/status":
		return endpoint{http.MethodGet, forAdmin, (*Handler).status}, true
	case "/drain":
		return endpoint{http.MethodPost, forAdmin, (*Handler).drain}, true
	case "/join":
		return endpoint{http.MethodPost, forJoin, (*Handler).join}, true
	case "/healthz":
		return endpoint{http.MethodGet, forAnyone, (*Handler).healthz}, true
	case "/readyz":
		return endpoint{http.MethodGet, forAnyone, (*Handler).readyz}, true
	case tokensPath:
		if method == http.MethodPost {
			return endpoint{http.MethodPost, forAdmin, (*Handler).createToken}, true
		}
		return endpoint{http.MethodGet, forAdmin, (*Handler).listTokens}, true
	}
	if strings.HasPrefix(path, "/code/") {
		return endpoint{http.MethodPut, forClient, (*Handler).code}, true
	}
	if strings.HasPrefix(path, tokensPath+"/") {
		return endpoint{http.MethodDelete, forAdmin, (*Handler).revokeToken}, true
	}
	return endpoint{}, false
}
