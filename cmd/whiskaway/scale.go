package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/balancer/scaler"
	"github.com/whiskaway/whiskaway/balancer/scaler/kubernetes"
	"github.com/whiskaway/whiskaway/balancer/scaler/process"
	"github.com/whiskaway/whiskaway/balancer/scaler/script"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// scaleFlags say which servers the balancer starts by itself.
type scaleFlags struct {
	pools       []string
	max         int
	idle, start time.Duration
	kubeconfig  string
}

func (s *scaleFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&s.pools, "scale", nil, "start servers for a label when runs wait for them: LABEL=exec:SCRIPT, LABEL=kubernetes:NAMESPACE/statefulset/NAME (or deployment) or LABEL=process; several labels as gpu&region=eu; may be repeated")
	f.IntVar(&s.max, "scale-max", scaler.DefaultMax, "the servers that are started for all labels together, at most")
	f.DurationVar(&s.idle, "scale-idle", scaler.DefaultIdle, "after how long without need such a server is stopped")
	f.DurationVar(&s.start, "scale-start-timeout", scaler.DefaultStartTimeout, "within which time such a server must join; runs wait that long for one")
	f.StringVar(&s.kubeconfig, "scale-kubeconfig", "", "how Kubernetes is reached from outside (default: the service account of our pod)")
}

// leastIdle keeps servers from being stopped between two runs of one client.
const leastIdle = time.Second

func (s *scaleFlags) check() error {
	switch {
	case s.max < 1:
		return errors.New("--scale-max must be at least 1; leave --scale out to start no servers")
	case s.idle < leastIdle:
		return fmt.Errorf("--scale-idle must be at least %v", leastIdle)
	case s.start < leastIdle:
		return fmt.Errorf("--scale-start-timeout must be at least %v", leastIdle)
	}
	return nil
}

// open makes the scaler; nil when there is nothing to scale.
func (s *scaleFlags) open(dir string, f *face, log *slog.Logger) (*scaler.Scaler, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if len(s.pools) == 0 {
		return nil, nil
	}
	cfg := scaler.Config{Max: s.max, Idle: s.idle, StartTimeout: s.start, Log: log}
	for _, text := range s.pools {
		p, err := parsePool(text)
		if err != nil {
			return nil, err
		}
		driver, err := s.driver(p, dir, f)
		if err != nil {
			return nil, fmt.Errorf("--scale %s: %w", text, err)
		}
		cfg.Pools = append(cfg.Pools, scaler.Pool{Labels: p.labels, Driver: driver})
	}
	return scaler.New(cfg)
}

// A poolFlag is one --scale, taken apart.
type poolFlag struct {
	labels         []string
	driver, detail string
}

// poolSyntax takes the first driver's name that follows a "=", as labels may have a "=" too.
var poolSyntax = regexp.MustCompile(`^(.+?)=(exec|kubernetes|process)(?::(.*))?$`)

func parsePool(text string) (poolFlag, error) {
	m := poolSyntax.FindStringSubmatch(text)
	if m == nil {
		return poolFlag{}, fmt.Errorf("--scale %s: write LABEL=DRIVER:DETAIL, as gpu=exec:/etc/whiskaway/gpu.sh; the drivers are exec, kubernetes and process", text)
	}
	p := poolFlag{labels: strings.Split(m[1], "&"), driver: m[2], detail: m[3]}
	slices.Sort(p.labels)
	p.labels = slices.Compact(p.labels)
	for _, l := range p.labels {
		if err := function.CheckLabel(l); err != nil {
			return p, fmt.Errorf("--scale %s: %w", text, err)
		}
	}
	return p, nil
}

func (s *scaleFlags) driver(p poolFlag, dir string, f *face) (scaler.Driver, error) {
	token := filepath.Join(dir, "tokens", string(wire.RoleJoin))
	switch p.driver {
	case "exec":
		return script.Open(script.Config{Path: p.detail, Balancer: f.url, TokenFile: token})
	case "kubernetes":
		return kubernetes.Open(kubernetes.Config{Workload: p.detail, Kubeconfig: s.kubeconfig})
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return process.Open(process.Config{
		Dir: filepath.Join(dir, "scale", process.FileName(strings.Join(p.labels, "&"))), Binary: binary, Balancer: f.localURL,
		TokenFile: token, Labels: p.labels, Args: strings.Fields(p.detail),
	})
}
