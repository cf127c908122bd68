package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// marker is in all that bob has. Nobody else may ever be shown it.
const marker = "bobs-own-words"

// namespaceOfBob makes one of everything in bob's namespace, and returns the id of an activation.
func namespaceOfBob(bob *standalone) string {
	code := quoted("def main(a):\n    print('" + marker + "')\n    return {'said': '" + marker + "'}")
	annotations := `"annotations":[{"key":"note","value":"` + marker + `"}],"parameters":[{"key":"p","value":"` + marker + `"}]`
	for path, body := range map[string]string{
		"packages/private": `{` + annotations + `}`, "triggers/t": `{` + annotations + `}`, "actions/secret": `{"exec":{"kind":"python:3","code":` + code + `},` + annotations + `}`,
	} {
		bob.ask(200, "PUT", "/namespaces/bob/"+path, body, nil)
	}
	bob.ask(200, "PUT", "/namespaces/bob/actions/private/inner", `{"exec":{"kind":"python:3","code":`+code+`},`+annotations+`}`, nil)
	bob.ask(200, "PUT", "/namespaces/bob/rules/r", `{"trigger":"/bob/t","action":"/bob/secret",`+annotations+`}`, nil)
	var rec wskActivation
	bob.ask(200, "POST", "/namespaces/bob/actions/secret?blocking=true", "{}", &rec)
	return rec.ActivationID
}

// raw sends a request whose path is as it is written, which http.Client would not, and returns the answer.
func (s *standalone) raw(method, path, body string) (int, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.api, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r, err := http.NewRequest(method, s.api, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	user, key, _ := strings.Cut(s.auth, ":")
	r.SetBasicAuth(user, key)
	fmt.Fprintf(conn, "%s /api/v1%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, r.Header.Get("Authorization"), len(body), body)
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	var status int
	if _, err := fmt.Sscanf(string(answer), "HTTP/1.1 %d", &status); err != nil {
		s.t.Fatalf("%s %s: %q", method, path, answer)
	}
	return status, string(answer)
}

// Whatever somebody without a key for a namespace asks of it, he is refused, is shown nothing, and changes nothing.
func TestOneNamespaceNeverSeesAnothers(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	bob, eve := s.as(s.userOK("create", "bob")), s.as(s.userOK("create", "eve"))
	id := namespaceOfBob(bob)
	before := bob.everything()
	if _, answer := bob.raw("GET", "/namespaces/%62ob/actions/secret", ""); !strings.Contains(answer, marker) || strings.Count(before, marker) < 10 {
		t.Fatalf("bob sees too little himself: %s\n%s", answer, before)
	}
	refused := func(method, path, body string) {
		t.Helper()
		status, answer := eve.raw(method, path, body)
		// OpenWhisk lets anybody list the packages of a namespace that are published: here, none.
		none := method == "GET" && status == 200 && strings.HasSuffix(answer, "\r\n\r\n[]")
		if status != 400 && status != 403 && status != 404 && status != 405 && status != 409 && !none {
			t.Errorf("%s %s: %.300s", method, path, answer)
		}
		if strings.Contains(answer, marker) {
			t.Errorf("%s %s shows what is bob's: %.500s", method, path, answer)
		}
	}
	bodies := map[string]string{
		"actions/secret":        `{"exec":{"kind":"python:3","code":"def main(a): return {}"}}`,
		"actions/private/inner": `{"exec":{"kind":"python:3","code":"def main(a): return {}"}}`,
		"triggers/t":            `{"annotations":[]}`, "rules/r": `{"status":"inactive","trigger":"/bob/t","action":"/bob/secret"}`, "packages/private": `{"publish":true}`,
		"actions": "", "triggers": "", "rules": "", "packages": "", "activations": "", "limits": "", "actions/private/": "", "activations?docs=true": "",
		"activations/" + id: "", "activations/" + id + "/logs": "", "activations/" + id + "/result": "", "actions/new": `{"exec":{"kind":"python:3","code":"x"}}`,
	}
	for path, body := range bodies {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH"} {
			query := ""
			if method == "PUT" {
				query = "?overwrite=true"
			}
			refused(method, "/namespaces/bob/"+path+query, body)
		}
	}
	// Names with tricks: none leads from eve's own namespace to bob's.
	for _, namespace := range []string{
		"%62ob", "bob%00", "bob%20", "%20bob", "BOB", "b%6fb", "./bob", "../namespaces/bob", "eve/../bob", "_/../bob", "_%2f..%2fbob", "eve%2fbob", "bob%2f", "%2fbob", "bob;eve", "eve,bob", "*", "%25", "%5f%5f", "",
	} {
		for _, path := range []string{"actions/secret", "actions", "activations/" + id, "triggers/t", "limits"} {
			refused("GET", "/namespaces/"+namespace+"/"+path, "")
		}
		refused("POST", "/namespaces/"+namespace+"/actions/secret?blocking=true", "{}")
	}
	for _, path := range []string{
		"actions/..%2f..%2fbob%2factions%2fsecret", "actions/../../bob/actions/secret", "actions/bob/secret", "actions/private/inner", "actions/%2fbob%2fsecret",
		"activations/" + id, "activations/" + id + "/logs", "activations/" + id + "/result", "activations/" + strings.ToUpper(id), "packages/..%2fbob%2fprivate", "packages/private",
	} {
		refused("GET", "/namespaces/_/"+path, "")
		refused("POST", "/namespaces/_/"+path, "{}")
	}
	if _, answer := eve.raw("GET", "/namespaces/_/activations?name=secret&docs=true", ""); strings.Contains(answer, marker) || !strings.HasSuffix(answer, "[]") {
		t.Errorf("eve's activations: %s", answer)
	}
	for _, path := range []string{"/web/bob/default/secret.json", "/web/bob/private/inner.json", "/web/bob/default/secret", "/web/eve/default/../../bob/default/secret.json"} {
		refused("GET", path, "")
	}
	// What refers to bob's.
	eve.put("mine", action{kind: "python:3", code: "def main(a): return a"})
	eve.ask(200, "PUT", restNS+"triggers/mine2", `{}`, nil)
	for path, body := range map[string]string{
		"rules/x1":    `{"trigger":"/bob/t","action":"/_/mine"}`,
		"rules/x2":    `{"trigger":"/_/mine2","action":"/bob/secret"}`,
		"rules/x3":    `{"trigger":"/_/mine2","action":"/bob/private/inner"}`,
		"rules/x4":    `{"trigger":"/eve/../bob/t","action":"/_/mine"}`,
		"packages/x5": `{"binding":{"namespace":"bob","name":"private"}}`,
		"actions/x6":  `{"exec":{"kind":"sequence","components":["/bob/secret"]}}`,
		"actions/x7":  `{"exec":{"kind":"sequence","components":["/_/mine","/bob/private/inner"]}}`,
	} {
		refused("PUT", "/namespaces/_/"+path, body)
		refused("GET", "/namespaces/_/"+path, "")
	}
	if after := bob.everything(); after != before {
		t.Errorf("bob's namespace was\n%s\nand is now\n%s", before, after)
	}
}

// everything is all that the caller's namespace shows.
func (s *standalone) everything() string {
	s.t.Helper()
	var all strings.Builder
	for _, path := range []string{"actions", "actions/secret", "actions/private/inner", "triggers", "triggers/t", "rules", "rules/r", "packages", "packages/private", "activations?docs=true", "limits"} {
		status, body := s.call("GET", restNS+path, "")
		if status != 200 || !json.Valid(body) {
			s.t.Errorf("%s: %d %s", path, status, body)
		}
		fmt.Fprintf(&all, "%s: %s\n", path, body)
	}
	return all.String()
}

// Nobody gets in with a key that is nearly good, and a failure says nothing of who is there.
func TestKeysThatAreNearlyGood(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	uuid, key, _ := strings.Cut(s.auth, ":")
	answers := map[string]bool{}
	for _, auth := range []string{
		uuid + ":", ":" + key, uuid + ":" + key[:63], uuid + ":" + key + "x", uuid + ":" + strings.ToLower(key), strings.ToUpper(uuid) + ":" + key, uuid + " :" + key,
		uuid + ":" + key + "\x00", "guest:" + key, "00000000-0000-4000-8000-000000000000:" + key, "' OR 1=1 --:" + key, "%:" + key, uuid + ":' OR '1'='1",
	} {
		status, body := s.as(auth).call("GET", "/namespaces", "")
		var failure struct{ Error, Code string }
		if err := json.Unmarshal(body, &failure); status != 401 || err != nil {
			t.Errorf("%q: %d %s", auth, status, body)
		}
		answers[failure.Error] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers tell who is there: %v", answers)
	}
	if status, _ := s.call("GET", "/namespaces", ""); status != 200 {
		t.Errorf("the good key: %d", status)
	}
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}
