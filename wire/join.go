package wire

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// upgradeProtocol is the name of what follows the 101: HTTP/1.1 with the roles
// swapped.
const upgradeProtocol = "whiskaway"

// A Joining is a server that has dialled home.
type Joining struct {
	ServerID string        // stays the same over the server's restarts
	Name     string        // for people
	Host     function.Host // the server; good until Join's ctx ends
	Labels   []string      // those of the token that it joined with; sorted
}

// joinRequest is what a server says when it dials.
type joinRequest struct {
	serverID, name, session string
	advertised              Advertised // the zero value: it cannot be dialled
	sameMachine             bool       // it has dialled from where we are
	by                      Principal  // whose token it showed
}

// join serves POST /join: the connection changes hands, and from then on this
// side sends requests on it.
func (h *Handler) join(w http.ResponseWriter, r *http.Request, p Principal) error {
	if h.cfg.Join == nil {
		return function.Errorf(function.CodeBadRequest, "this host is not a balancer; servers cannot join it")
	}
	req, err := parseJoin(r)
	if err != nil {
		return err
	}
	req.by = p
	s, err := h.members.admit(req)
	if err != nil {
		return err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return function.Errorf(function.CodeInternal, "this connection cannot be handed over: %v", err)
	}
	if buffered.Reader.Buffered() > 0 || answerJoin(conn, s.instance) != nil {
		conn.Close() // a server does not speak before it was asked
		return nil
	}
	s.pool.put(conn)
	return nil
}

func parseJoin(r *http.Request) (joinRequest, error) {
	if r.ProtoMajor != 1 {
		return joinRequest{}, function.Errorf(function.CodeBadRequest, "joining needs HTTP/1.1, not %s", r.Proto)
	}
	if !strings.EqualFold(first(r.Header, "Upgrade"), upgradeProtocol) {
		return joinRequest{}, function.Errorf(function.CodeBadRequest, "the header Upgrade: %s is missing; does a proxy on the way drop it?", upgradeProtocol)
	}
	name, err := url.PathUnescape(first(r.Header, headerName))
	if err != nil {
		return joinRequest{}, function.Errorf(function.CodeBadRequest, "%s: %v", headerName, err)
	}
	req := joinRequest{serverID: first(r.Header, headerServer), name: name, session: first(r.Header, headerSession)}
	const longest = 256
	for _, text := range []string{req.serverID, req.name, req.session} {
		if text == "" || len(text) > longest {
			return joinRequest{}, function.Errorf(function.CodeBadRequest,
				"%s, %s and %s must be there, with at most %d bytes each", headerServer, headerName, headerSession, longest)
		}
	}
	req.advertised = advertisedIn(r.Header)
	req.sameMachine = req.advertised.URL != "" && fromSameMachine(r)
	return req, req.advertised.checkFrom(req.sameMachine)
}

func answerJoin(conn net.Conn, instance string) error {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " +
		upgradeProtocol + "\r\n" + headerVersion + ": " + Version + "\r\n" + headerSession + ": " + instance + "\r\n\r\n"))
	conn.SetDeadline(time.Time{})
	return err
}
