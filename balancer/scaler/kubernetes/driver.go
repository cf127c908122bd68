package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// A Config says which workload it is and how the API server is reached.
type Config struct {
	Workload   string // namespace/statefulset/name or namespace/deployment/name
	Kubeconfig string // a file; empty: the service account of the pod that we run in
}

// A Driver scales one workload.
type Driver struct {
	workload
	api *api
}

var _ scaler.Driver = (*Driver)(nil)

// Open reads how the API server is reached. It does not call it.
func Open(cfg Config) (*Driver, error) {
	w, err := parseWorkload(cfg.Workload)
	if err != nil {
		return nil, err
	}
	a, err := inCluster()
	if cfg.Kubeconfig != "" {
		a, err = fromKubeconfig(cfg.Kubeconfig)
	}
	if err != nil {
		return nil, err
	}
	return &Driver{workload: w, api: a}, nil
}

// A scale is the object of the subresource, autoscaling/v1, as far as we need it.
type scale struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Metadata   scaleMeta `json:"metadata"`
	Spec       struct {
		Replicas int `json:"replicas"`
	} `json:"spec"`
	Status struct {
		Selector string `json:"selector"`
	} `json:"status"`
}

type scaleMeta struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// Start raises the number of replicas, see scaler.Driver. The label is the pods' template's business.
func (d *Driver) Start(ctx context.Context, _ string, n int) error {
	return d.rescale(ctx, func(replicas int) (int, error) { return replicas + n, nil })
}

// Stop lowers the number of replicas by one, so that this server's pod goes, see scaler.Driver.
func (d *Driver) Stop(ctx context.Context, server string) error {
	s, pods, err := d.read(ctx)
	if err != nil {
		return err
	}
	p, there := find(pods, server)
	switch {
	case there && p.Metadata.DeletionTimestamp != nil:
		return nil
	case !there && !d.missing(server, s, pods):
		return nil
	case d.ordered():
		return d.stopLast(ctx, server)
	case there:
		if err := d.markForDeletion(ctx, server); err != nil {
			return err
		}
	}
	return d.rescale(ctx, func(replicas int) (int, error) { return max(0, replicas-1), nil })
}

// stopLast removes the pod with the highest ordinal, which the server must be.
func (d *Driver) stopLast(ctx context.Context, server string) error {
	ordinal, ok := d.ordinal(server)
	return d.rescale(ctx, func(replicas int) (int, error) {
		switch {
		case ok && ordinal >= replicas:
			return replicas, nil // that was done already
		case !ok || ordinal != replicas-1:
			return 0, fmt.Errorf("%s has %d replicas, so %s is not its last pod, and no other can be removed", d.workload, replicas, server)
		}
		return ordinal, nil
	})
}

// deletionCost is below that of every other pod, which is 0
// (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost).
const deletionCost = "-1000"

func (d *Driver) markForDeletion(ctx context.Context, server string) error {
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]string{"controller.kubernetes.io/pod-deletion-cost": deletionCost}}}
	err := d.call(ctx, http.MethodPatch, d.podPath(server), patch, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// List returns the pods, and those that Kubernetes has not made yet, see scaler.Driver.
func (d *Driver) List(ctx context.Context) ([]scaler.Machine, error) {
	s, pods, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	var all []scaler.Machine
	for _, p := range pods {
		m := scaler.Machine{Server: p.Metadata.Name, State: scaler.Up, Since: p.Metadata.CreationTimestamp}
		if p.Metadata.DeletionTimestamp != nil {
			m.State = scaler.Stopping
		}
		m.Rank, _ = d.ordinal(p.Metadata.Name)
		all = append(all, m)
	}
	for _, name := range d.unmade(s, pods) {
		m := scaler.Machine{Server: name, State: scaler.Starting}
		m.Rank, _ = d.ordinal(name)
		all = append(all, m)
	}
	return all, nil
}

// read asks for the scale and the pods.
func (d *Driver) read(ctx context.Context) (scale, []pod, error) {
	s, err := d.scale(ctx)
	if err != nil {
		return s, nil, err
	}
	if s.Status.Selector == "" {
		return s, nil, fmt.Errorf("%s has no selector, so its pods cannot be told from others", d.workload)
	}
	var list struct {
		Items []pod `json:"items"`
	}
	err = d.call(ctx, http.MethodGet, d.podsPath(s.Status.Selector), nil, &list)
	return s, list.Items, err
}

func (d *Driver) scale(ctx context.Context) (s scale, err error) {
	err = d.call(ctx, http.MethodGet, d.scalePath(), nil, &s)
	if isStatus(err, http.StatusNotFound) {
		err = fmt.Errorf("there is no %s; make it first, with 0 replicas if you like", d.workload)
	}
	return s, err
}

// conflictTries is how often a change is tried when somebody else changes the same
// object, as Kubernetes' own controllers do all the time.
const conflictTries = 10

// rescale changes the number of replicas, from what it is at that moment.
func (d *Driver) rescale(ctx context.Context, change func(replicas int) (int, error)) error {
	for try := 0; ; try++ {
		s, err := d.scale(ctx)
		if err != nil {
			return err
		}
		n, err := change(s.Spec.Replicas)
		if err != nil || n == s.Spec.Replicas {
			return err
		}
		s.Spec.Replicas = n
		err = d.call(ctx, http.MethodPut, d.scalePath(), s, nil)
		if !isStatus(err, http.StatusConflict) || try == conflictTries {
			return err
		}
	}
}

func isStatus(err error, code int) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == code
}
