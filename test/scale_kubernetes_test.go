package test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A balancer scales a real API server's workloads, with the objects of docs/scaling.md and
// no right beyond them. The test does what controllers and nodes would.
func TestScaleWithKubernetes(t *testing.T) {
	k := startKube(t)
	k.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: faas}")
	rights := documented(t, "RoleBinding")
	account, role, _ := strings.Cut(rights, "\n---\n")
	k.apply(account)
	config := k.kubeconfig()
	workload := documented(t, "StatefulSet")
	k.apply(workload)
	deployment := strings.NewReplacer("kind: StatefulSet", "kind: Deployment", "  serviceName: gpu\n", "", "  podManagementPolicy: Parallel\n", "").Replace(workload)
	k.apply(deployment)

	t.Run("without the rights", func(t *testing.T) {
		s := newScaled(t, "--scale", "gpu=kubernetes:faas/statefulset/gpu", "--scale-kubeconfig", config)
		eventually(t, "the log names the rule", func() bool {
			return strings.Contains(s.balancer.log(), `needs the rule {apiGroups: [\"apps\"], resources: [\"statefulsets/scale\"]`)
		})
	})
	k.apply(role)
	for kind, pod := range map[string]string{"statefulset": "gpu-0", "deployment": "gpu-5d4f-x7k2p"} {
		t.Run(kind, func(t *testing.T) { scaleInKube(t, k, config, kind, pod) })
	}
}

// An initEnd is how an Init has ended.
type initEnd struct {
	id    function.ID
	claim function.Claim
	err   error
}

// scaleInKube starts one server at the first call, and stops it when nobody needs it.
func scaleInKube(t *testing.T, k *kube, config, kind, pod string) {
	s := newScaled(t, "--scale", "gpu=kubernetes:faas/"+kind+"/gpu", "--scale-kubeconfig", config, "--scale-idle", "2s")
	s.goOn()
	inits := make(chan initEnd, 1)
	go func() {
		id, claim, err := s.init("gpu")
		inits <- initEnd{id, claim, err}
	}()
	k.awaitReplicas(kind+"s", 1)
	k.makePod(pod)
	server := start(t, nil, nil, "server", "--balancer", "http://"+s.address, "--token", readToken(t, s.home, "join"), "--name", pod, "--label", "gpu",
		"--data", t.TempDir(), "--share", s.share)
	end := <-inits
	if end.err != nil {
		t.Fatalf("init: %v", end.err)
	}
	if err := s.run(end.id, end.claim); err != nil {
		t.Errorf("run: %v", err)
	}
	if n := k.replicas(kind + "s"); n != 1 {
		t.Errorf("%d replicas while the function is leased", n)
	}
	if err := s.client.Stop(t.Context(), end.id, end.claim); err != nil {
		t.Error(err)
	}
	k.awaitReplicas(kind+"s", 0)
	path := "/api/v1/namespaces/faas/pods/" + pod
	if kind == "deployment" && !strings.Contains(string(k.call(http.MethodGet, path, "", "")), `"controller.kubernetes.io/pod-deletion-cost":"-1000"`) {
		t.Error("the pod is not marked as the one to delete")
	}
	server.stop()
	k.call(http.MethodDelete, path+"?gracePeriodSeconds=0", "", "")
	s.balancer.stop()
	if n := k.replicas(kind + "s"); n != 0 {
		t.Errorf("%d replicas after the end", n)
	}
}
