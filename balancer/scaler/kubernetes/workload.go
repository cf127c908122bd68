package kubernetes

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A workload is the Deployment or StatefulSet whose pods the servers are.
type workload struct {
	namespace string
	resource  string // "deployments" or "statefulsets"
	name      string
}

// dnsName is what Kubernetes takes for a namespace or a workload
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// parseWorkload reads "namespace/statefulset/name".
func parseWorkload(text string) (workload, error) {
	wrong := func(why string) (workload, error) {
		return workload{}, fmt.Errorf("%q is no workload: %s; write namespace/statefulset/name or namespace/deployment/name", text, why)
	}
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return wrong(fmt.Sprintf("it has %d parts", len(parts)))
	}
	w := workload{namespace: parts[0], name: parts[2]}
	switch strings.TrimSuffix(strings.ToLower(parts[1]), "s") {
	case "deployment":
		w.resource = "deployments"
	case "statefulset":
		w.resource = "statefulsets"
	default:
		return wrong(fmt.Sprintf("%q is neither of the two kinds", parts[1]))
	}
	for _, name := range []string{w.namespace, w.name} {
		if !dnsName.MatchString(name) {
			return wrong(fmt.Sprintf("%q cannot be a name in Kubernetes", name))
		}
	}
	return w, nil
}

func (w workload) ordered() bool { return w.resource == "statefulsets" }

func (w workload) String() string {
	return strings.TrimSuffix(w.resource, "s") + " " + w.name + " in namespace " + w.namespace
}

// The paths of the calls, see https://kubernetes.io/docs/reference/kubernetes-api/.
func (w workload) scalePath() string {
	return "/apis/apps/v1/namespaces/" + w.namespace + "/" + w.resource + "/" + w.name + "/scale"
}

// podsPath leaves out pods that have ended for good and stay listed, as evicted ones do.
func (w workload) podsPath(selector string) string {
	q := url.Values{"labelSelector": {selector}, "fieldSelector": {"status.phase!=Failed,status.phase!=Succeeded"}}
	return "/api/v1/namespaces/" + w.namespace + "/pods?" + q.Encode()
}

func (w workload) podPath(pod string) string {
	return "/api/v1/namespaces/" + w.namespace + "/pods/" + url.PathEscape(pod)
}

// rule is what the RBAC role needs for a call, for the error when it is refused.
func (w workload) rule(method, path string) string {
	switch {
	case strings.HasSuffix(path, "/scale"):
		return fmt.Sprintf(`{apiGroups: ["apps"], resources: ["%s/scale"], verbs: ["get", "update"]}`, w.resource)
	case method == "PATCH":
		return `{apiGroups: [""], resources: ["pods"], verbs: ["patch"]}`
	}
	return `{apiGroups: [""], resources: ["pods"], verbs: ["list"]}`
}
