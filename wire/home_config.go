package wire

import (
	"log/slog"
	"net/url"

	"github.com/whiskaway/whiskaway/function"
)

// A HomeConfig says which balancer a server joins, and as what.
type HomeConfig struct {
	URL      string        // the balancer's: https, or http on loopback
	Token    string        // the balancer's join token, as ParseToken reads it
	ServerID string        // stays the same over restarts
	Name     string        // for people
	Host     function.Host // what the balancer may use; its word for namespaces is trusted
	// Advertise is where the balancer can dial this server too. The zero value: nowhere.
	Advertise Advertised
	Body      function.BodyLimits
	Log       *slog.Logger // nil: nowhere
	// OnJoined is called each time that the server has joined, again after it
	// was cut off. It must not block. nil: nobody.
	OnJoined func()
}

// Check returns what is wrong with the addresses and the tokens, as far as can be known before
// anybody is dialled. It does not look at the rest.
func (cfg HomeConfig) Check() error {
	_, _, err := cfg.whom()
	return err
}

// whom returns the balancer's address and token.
func (cfg HomeConfig) whom() (*url.URL, Token, error) {
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, Token{}, err
	}
	token, err := ParseToken(cfg.Token)
	if err != nil {
		return nil, Token{}, function.Errorf(function.CodeBadRequest, "the token for %s: %v", u, err)
	}
	_, err = cfg.Advertise.check()
	return u, token, err
}
