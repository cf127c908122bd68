package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker/docker"
)

// The drivers that start functions' runtimes.
const (
	driverProcess = "process"
	driverDocker  = "docker"
)

// dockerFlags say what makes the platform's containers, and how.
type dockerFlags struct {
	driver, host, network, pull, manifest string
	images                                []string
	cpus                                  float64
	pids                                  int
	publish                               bool
}

func (d *dockerFlags) add(f *pflag.FlagSet) {
	f.StringVar(&d.driver, "driver", driverProcess, "what runs actions without @: process (child processes of the platform) or docker (containers of a Docker engine; actions may then have images of their own)")
	f.StringVar(&d.host, "docker-host", "", "where the Docker engine listens (default: DOCKER_HOST, or "+docker.DefaultHost+")")
	f.StringVar(&d.network, "docker-network", "bridge", "the engine's network that containers are in")
	f.BoolVar(&d.publish, "docker-publish", runtime.GOOS != "linux", "reach containers by ports of this machine's loopback: where their network cannot be reached, as with Docker Desktop")
	f.Float64Var(&d.cpus, "docker-cpus", 0, "CPUs that one container may use at most (default: all; each has a share by its memory)")
	f.IntVar(&d.pids, "docker-pids", 1024, "processes and threads that one container may have")
	f.StringVar(&d.pull, "pull", string(docker.PullMissing), "when images are pulled: always (before each start), missing or never")
	f.StringVar(&d.manifest, "runtimes", "", "OpenWhisk's runtimes.json: the kinds, with their images (default: Whiskaway's own images of this version)")
	f.StringArrayVar(&d.images, "image", nil, "the image of a kind, as python:3=example.com/python:1.0; may be repeated, and may add a kind")
}

// validate returns whether the containers are Docker's.
func (d *dockerFlags) validate(f *pflag.FlagSet) (bool, error) {
	switch d.driver {
	case driverDocker:
	case driverProcess:
		for _, name := range []string{"docker-host", "docker-network", "docker-publish", "docker-cpus", "docker-pids", "pull", "runtimes", "image"} {
			if f.Changed(name) {
				return false, fmt.Errorf("--%s is for containers: add --driver docker", name)
			}
		}
		return false, nil
	default:
		return false, fmt.Errorf("--driver %s: it is process or docker", d.driver)
	}
	if d.cpus < 0 {
		return false, fmt.Errorf("--docker-cpus %v: it is a number above 0, such as 0.5", d.cpus)
	}
	if d.pids < 1 {
		return false, fmt.Errorf("--docker-pids %d: it is a number from 1 on", d.pids)
	}
	if _, err := docker.ParsePull(d.pull); err != nil {
		return false, fmt.Errorf("--pull: %w", err)
	}
	return true, nil
}

// kinds are what actions may be written in, each with its image.
func (d *dockerFlags) kinds() ([]controller.Kind, error) {
	kinds := controller.DefaultKinds()
	for i := range kinds {
		kinds[i].Image = ownImages()[kinds[i].Name] + ":" + version
	}
	if d.manifest != "" {
		text, err := os.ReadFile(d.manifest)
		if err != nil {
			return nil, fmt.Errorf("--runtimes: %w", err)
		}
		if kinds, err = controller.ParseManifest(text); err != nil {
			return nil, fmt.Errorf("--runtimes %s: %w", d.manifest, err)
		}
	}
	for _, given := range d.images {
		name, image, _ := strings.Cut(given, "=")
		if name == "" || !controller.IsImage(image) {
			return nil, fmt.Errorf("--image %s: it is a kind and its image, as python:3=example.com/python:1.0", given)
		}
		kinds = withImage(kinds, name, image)
	}
	if len(kinds) == 0 {
		return nil, errors.New("there is no kind of actions")
	}
	return kinds, nil
}

// ownImages are the names of this project's images for the kinds that the platform has of itself.
func ownImages() map[string]string {
	return map[string]string{"python:3": "whiskaway-python", "nodejs:20": "whiskaway-nodejs", "native": "whiskaway-runtime"}
}

// withImage gives a kind another image. A kind that is not there is added; it is its language's
// default where there is no other of that.
func withImage(kinds []controller.Kind, name, image string) []controller.Kind {
	language, _, _ := strings.Cut(name, ":")
	alone := true
	for i := range kinds {
		if kinds[i].Name == name {
			kinds[i].Image = image
			return kinds
		}
		alone = alone && !strings.HasPrefix(kinds[i].Name+":", language+":")
	}
	k := controller.Kind{Name: name, Image: image, Default: alone}
	if alone {
		k.Aliases = []string{language + ":default", language}
	}
	return append(slices.Clone(kinds), k)
}
