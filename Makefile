# Plain `make` lists the targets from their ## comments.

GO      ?= go
TOOL     = $(GO) tool -modfile=tools/go.mod
VERSION ?= $(or $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null | sed 's/^v//'),dev)
COMMIT  ?= $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)
LDFLAGS  = -s -w -X $(PKG)/internal/version.Version=$(VERSION) -X $(PKG)/internal/version.Commit=$(COMMIT)
PKG      = github.com/hacluster/hacluster

# A Debian version starts with a digit; one that is not released sorts below all
# that are.
DEBVERSION = $(if $(filter dev,$(VERSION)),0~$(or $(shell TZ=UTC0 git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd 2>/dev/null),dev).$(COMMIT),$(VERSION))
COUNT    = { $(GO) build -o dist/testcount ./internal/testcount || { echo '0 passed, 1 failed'; exit 1; }; } && dist/testcount -needs e2e/needs.txt

# Debian packages that the suite uses: a C compiler for the race detector and
# for the model, the model checker, keepalived and FRR as the peers to work with,
# an agent that fences, a file system to freeze, what boots a Debian to install
# on, a kernel with IPVS in a process, and what marks packets there.
DEBS = gcc libc6-dev spin keepalived frr fence-agents e2fsprogs mount mmdebstrap systemd-container \
	user-mode-linux kmod ipvsadm iptables

# Packages whose tests need no other machine, and those that build a lab.
UNIT = $(shell $(GO) list ./... | grep -v '/e2e')
E2E  = $(shell $(GO) list ./... | grep '/e2e')

# The scenarios that make soak repeats: whatever could make or lose a holder.
CORE   = ^Test(Scenario|U[0-9]|F[0-9]|Total|Killed|Stopped|NodeStarts|JoinRefusals|Alerts)
REPEAT ?= 5

.PHONY: help build test deps unit race sim model lint gofmt vet staticcheck gofix fuzz e2e ipvs soak e2e-tcg proof \
	bench-failover bench-cost bench-heartbeats bench-apply bench-gate bench-checks bench-lvs demo package generate generate-check vuln clean

help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

build: ## build bin/haclusterd and bin/haclusterctl, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test: ## everything: build, lint, race, sim, model, e2e, fuzz; ends with `N passed, N failed` (root)
	@$(COUNT) \
		'step deps $(MAKE) -s deps' \
		'step package $(MAKE) -s package' \
		'step gofmt $(MAKE) -s gofmt' \
		'step vet $(MAKE) -s vet' \
		'step staticcheck $(MAKE) -s staticcheck' \
		'step gofix $(MAKE) -s gofix' \
		'tests race $(MAKE) -s race-json' \
		'tests sim $(MAKE) -s sim-json' \
		'step model $(MAKE) -s model' \
		'tests e2e $(MAKE) -s e2e-json' \
		'beside tests ipvs $(MAKE) -s ipvs-json' \
		'tests fuzz nice -n 19 $(GO) run ./internal/fuzzsmoke -total 60s'

# FRR's package would start its daemons, now and at each boot: they run in the
# suite's namespaces only.
deps: # Debian packages that the suite uses, installed only when missing
	@missing=$$(for p in $(DEBS); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap "rm -f $$policy" EXIT INT TERM; \
			printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy || exit 1; \
		fi; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null || exit 1; \
		case " $$missing " in *frr*) update-rc.d frr disable;; esac; \
	fi

unit: ## unit tests, without the race detector
	@$(GO) vet ./... && $(COUNT) 'tests unit $(GO) test -json -timeout 5m $(UNIT)'

race: ## unit tests with the race detector
	@$(COUNT) 'tests race $(MAKE) -s race-json'

race-json:
	@CGO_ENABLED=1 $(GO) test -json -race -timeout 10m $(UNIT)

sim: ## random faults in virtual time: N schedules (20,000) from FIRST (1), and the mutants
	@$(COUNT) 'tests sim $(MAKE) -s sim-json'

sim-json:
	@SIM_RUNS=$(N) $(GO) test -json -count=1 -timeout 6h ./sim $(if $(FIRST),-first $(FIRST))

model: ## the quorum lease in Promela, and that each guard left out is found (spin, gcc)
	@docs/model/check.sh

lint: ## gofmt, go vet, staticcheck, go fix -diff
	@$(COUNT) 'step gofmt $(MAKE) -s gofmt' 'step vet $(MAKE) -s vet' \
		'step staticcheck $(MAKE) -s staticcheck' 'step gofix $(MAKE) -s gofix'

lint-all: lint ## lint, and golangci-lint (its first build takes two minutes)
	@$(GO) run -modfile=tools/golangci/go.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint run ./...

gofmt:
	@unformatted=$$($(shell $(GO) env GOROOT)/bin/gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	[ -z "$$unformatted" ] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }

vet:
	@$(GO) vet ./... && $(GO) vet -tags guest ./lvs/... ./e2e/balance

staticcheck:
	@$(TOOL) staticcheck ./... && $(TOOL) staticcheck -tags guest ./lvs/... ./e2e/balance

gofix:
	@$(GO) fix -diff ./...

fuzz: ## each fuzz target for a few seconds, a minute together
	@$(COUNT) 'tests fuzz $(GO) run ./internal/fuzzsmoke -total 60s'

e2e: deps package ## real daemons in network namespaces (root)
	@$(COUNT) 'tests e2e $(MAKE) -s e2e-json'

ipvs: deps ## the kernel's side of LVS, in a user-mode-linux guest
	@$(COUNT) 'tests ipvs $(MAKE) -s ipvs-json'

ipvs-json:
	@mkdir -p dist
	@CGO_ENABLED=0 $(GO) build -o dist/boot ./e2e/lab/guest/boot
	@CGO_ENABLED=0 $(GO) test -c -tags guest -o dist/ipvs.test ./lvs/ipvs
	@CGO_ENABLED=0 $(GO) test -c -tags guest -o dist/balance.test ./e2e/balance
	@CGO_ENABLED=0 $(GO) build -trimpath -o dist/balance/ ./cmd/...
	@$(GO) tool test2json -t -p $(PKG)/lvs/ipvs \
		dist/boot -timeout 4m dist/ipvs.test -test.v=test2json -test.timeout 3m
	@HACLUSTER_BIN=dist/balance $(GO) tool test2json -t -p $(PKG)/e2e/balance \
		dist/boot -timeout 5m dist/balance.test -test.v=test2json -test.timeout 285s

soak: deps build ## 200 kills, and the scenarios with clusters REPEAT=5 times (root)
	@$(COUNT) \
		'tests kills env HACLUSTER_KILLS=200 $(GO) test -json -count=1 -timeout 20m -run TestKills ./e2e' \
		'tests scenarios $(GO) test -json -count=$(REPEAT) -parallel 4 -timeout 24m -run $(CORE) ./e2e'

e2e-json:
	@$(GO) test -json -count=1 -p 1 -parallel 6 -timeout 20m $(E2E)

e2e-tcg: ## the kernel gate on the kernel of Debian 12, in a virtual machine without hardware support (root)
	@$(MAKE) -s deps DEBS='qemu-system-x86 kmod iproute2'
	@CGO_ENABLED=0 $(GO) build -o dist/e2e-tcg ./e2e/tcg && CGO_ENABLED=0 $(GO) test -c -o dist/gate.test ./internal/gate
	@$(COUNT) 'tests gate $(MAKE) -s e2e-tcg-json'

e2e-tcg-json:
	@cd internal/gate && ../../dist/e2e-tcg -cache ../../dist/tcg -timeout 4m -- sh -c 'modprobe -a tun 8021q vrf; exec ../../dist/gate.test -test.v=test2json' | \
		$(GO) tool test2json -p $(PKG)/internal/gate

proof: deps build ## the core scenarios 20 times beside keepalived, into docs/proof.md (root)
	$(GO) run ./e2e/proof -out docs/proof.md

bench-failover: deps build ## fail-over times beside keepalived, into docs/bench-failover.md (root)
	$(GO) run ./e2e/bench failover -out docs/bench-failover.md

bench-cost: deps build ## CPU, memory and advert steadiness beside keepalived, into docs/bench-cost.md (root)
	$(GO) run ./e2e/bench cost -out docs/bench-cost.md

bench-heartbeats: deps build ## CPU of membership with 255 instances on 5 nodes, into docs/bench-heartbeats.md (root)
	$(GO) run ./e2e/bench heartbeats -out docs/bench-heartbeats.md

bench-apply: deps build ## time from an edit to three nodes that run it, into docs/bench-apply.md (root)
	$(GO) run ./e2e/bench apply -out docs/bench-apply.md

bench-gate: ## what the kernel gate costs, beside nftables, into docs/bench-gate.md (root)
	@mkdir -p dist
	$(GO) test -run '^$$' -bench . -benchtime 200ms -count 10 ./internal/gate >dist/bench-gate.txt || { cat dist/bench-gate.txt; exit 1; }
	$(GO) run ./internal/gate/benchtable <dist/bench-gate.txt >dist/bench-gate.md && mv dist/bench-gate.md docs/bench-gate.md

bench-checks: ## CPU and lateness of 10,000 TCP checks, into docs/bench-checks.md (root)
	$(GO) run ./lvs/check/bench -out docs/bench-checks.md

bench-lvs: deps ## IPVS tables beside ipvsadm, keepalived and moby/ipvs, in a guest, into docs/bench-lvs.md
	@mkdir -p dist
	CGO_ENABLED=0 $(GO) build -o dist/boot ./e2e/lab/guest/boot
	CGO_ENABLED=0 $(GO) build -o dist/bench-lvs ./lvs/ipvs/bench
	dist/boot -timeout 20m dist/bench-lvs -load "$$(cut -d' ' -f1 /proc/loadavg)" -out docs/bench-lvs.md

demo: build ## three daemons in namespaces, faults and figures; KEEP=1 leaves them running (root)
	@KEEP=$(KEEP) $(GO) run ./e2e/demo

package: build ## Debian package into dist/, the same bytes for the same commit
	mkdir -p dist/completion
	rm -f dist/haclusterd_*.deb
	bin/haclusterctl completion bash >dist/completion/haclusterctl.bash
	bin/haclusterctl completion zsh >dist/completion/_haclusterctl
	bin/haclusterctl completion fish >dist/completion/haclusterctl.fish
	gzip -9nc CHANGELOG.md >dist/changelog.gz
	VERSION=$(DEBVERSION) GOARCH=$$($(GO) env GOARCH) SOURCE_DATE_EPOCH=$(or $(shell git log -1 --format=%ct 2>/dev/null),0) \
		$(TOOL) nfpm package --config deploy/deb/nfpm.yaml --packager deb --target dist/

generate: ## generated Go beside its source
	$(GO) generate ./...

vuln: ## known vulnerabilities of what is linked, where the database can be reached
	@$(TOOL) govulncheck ./... || { code=$$?; [ $$code = 3 ] && exit 3; echo "vuln: not run: the database cannot be reached"; }

clean: ## remove what was built
	rm -rf bin dist
