# Whiskaway. `make help` lists what there is.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/whiskaway
export CGO_ENABLED ?= 0

.PHONY: help build build-nvml images demo test test-slow test-docker bench sim lint setup clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-11s %s\n", $$1, $$2}'

build: ## build the one binary, bin/whiskaway (static, no cgo)
	@echo "building $(BIN); the first time this takes a minute or two"
	@$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/whiskaway

demo: ## set up what is missing, then run the main job: three functions, one a language model on another server
	@scripts/setup demo
	@$(MAKE) --no-print-directory build
	$(GO) run ./examples/demo -binary $(BIN) -dir .demo

test: ## set up what is missing, then lint and run all tests with the race detector
	@scripts/setup test
	@$(MAKE) --no-print-directory lint build
	CGO_ENABLED=1 $(GO) test -race -timeout 30m -parallel 4 ./... # those that may run beside others mostly wait
	CGO_ENABLED=1 $(GO) test -race -tags nvml ./gpu

test-slow: ## the tests of `make test` with their hundreds of rounds in full, and with a real Kubernetes API server
	@scripts/setup slow
	@$(MAKE) --no-print-directory build
	CGO_ENABLED=1 WHISKAWAY_SLOW=1 $(GO) test -race -timeout 240m ./...

images: ## build the container images of docker/images with DOCKER (docker); see docker/README.md
	@docker/build

test-docker: ## build the images with a Docker engine in namespaces of its own, run and call them (root on Debian)
	@scripts/setup docker
	CGO_ENABLED=1 WHISKAWAY_DOCKER=1 $(GO) test -race -count=1 -v ./test/docker

build-nvml: ## the binary that asks the GPU driver itself, by NVML; not static
	$(GO) build -trimpath -tags nvml -ldflags "-X main.version=$(VERSION)" -o $(BIN)-nvml ./cmd/whiskaway

bench: ## measure every station of the path and print a table with ratios
	@scripts/setup demo
	@$(MAKE) --no-print-directory build
	$(GO) run ./bench -binary $(BIN)
	$(GO) run ./bench/store

sim: ## simulate placement against other policies; prints tables, writes docs/simulation.md and its plots
	$(GO) run ./bench/sim -page docs/simulation.md

lint: ## gofmt, go vet (here and for darwin), staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags nvml ./gpu
	GOOS=darwin $(GO) vet ./...
	$(GO) tool staticcheck ./...

setup: ## install what the demo and the tests need besides Go
	@scripts/setup test

clean: ## remove what was built and the demo's data
	chmod -R u+w .demo 2>/dev/null || true # dependency environments are read-only
	rm -rf bin .demo
