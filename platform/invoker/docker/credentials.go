package docker

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// credentials returns what `docker login` has kept for a registry in DOCKER_CONFIG, or in .docker
// below the home directory, in the form of the header X-Registry-Auth; empty: nothing.
// Credential helpers are not asked.
func credentials(registry string) (string, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // no home: nobody has logged in
		}
		dir = filepath.Join(home, ".docker")
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the registries' credentials: %w", err)
	}
	var config struct {
		Auths map[string]struct{ Auth, IdentityToken string }
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("reading the registries' credentials in %s: %w", path, err)
	}
	known, found := config.Auths[registry]
	if !found || known.Auth == "" {
		return "", nil
	}
	plain, err := base64.StdEncoding.DecodeString(known.Auth)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return "", fmt.Errorf("the credentials for %s in %s are not those of `docker login`", registry, path)
	}
	header, err := json.Marshal(map[string]string{
		"username": user, "password": strings.TrimRight(password, "\x00"), "serveraddress": registry, "identitytoken": known.IdentityToken,
	})
	if err != nil {
		return "", fmt.Errorf("the credentials for %s: %w", registry, err)
	}
	return base64.URLEncoding.EncodeToString(header), nil
}
