# Every target does its own set-up: uv makes the environment from the lock.
.DEFAULT_GOAL := help
UV ?= uv
RUN := $(UV) run --all-extras --locked

.PHONY: help test quick lint types layers unit e2e demo demo-down cluster-up cluster-down crd calibrate \
	accuracy claims models plan-speed control-plane-scale replacement start crd-is-current manifests \
	operator-requirements

help:  ## Show this text
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

test: quick e2e  ## Everything CI runs

quick: lint types layers crd-is-current unit  ## What needs no cluster: two minutes

lint:  ## Style
	$(RUN) ruff check
	$(RUN) ruff format --check

types:  ## mypy strict
	$(RUN) mypy

layers:  ## import-linter: the architecture holds
	$(RUN) lint-imports --no-cache

crd:  ## Write crds/, and its copy in the chart, from the API models
	$(RUN) python -m qwen_operator.api.crd > crds/qwen-operator.io_qwendeployments.yaml
	cp crds/qwen-operator.io_qwendeployments.yaml charts/qwen-operator/files/crd.yaml

crd-is-current:
	$(RUN) python -m qwen_operator.api.crd | diff -u crds/qwen-operator.io_qwendeployments.yaml - \
	  || { echo "crds/ is not what the API models say; run: make crd"; exit 1; }
	diff -u crds/qwen-operator.io_qwendeployments.yaml charts/qwen-operator/files/crd.yaml \
	  || { echo "the chart's CRD is not that of crds/; run: make crd"; exit 1; }

manifests:  ## Write manifests/ from the chart (builds Helm the first time: 2 minutes)
	$(RUN) python -m e2e.chart

operator-requirements:  ## Write what the operator's image installs, from uv.lock
	$(UV) export --quiet --locked --extra operator --no-dev --no-emit-project --no-header \
	  --output-file operator/requirements.txt

unit:  ## Tests without a cluster
	$(RUN) pytest -q -n 2 --dist loadscope -m "not control_plane and not node"

e2e:  ## A real API server, then a real node (builds Kubernetes and vLLM's image once: 25 minutes)
	$(RUN) python -m e2e.cluster build
	$(RUN) pytest -v tests/e2e -m control_plane
	$(RUN) pytest -v -m node tests/e2e/test_down.py
	$(RUN) pytest -v tests/e2e -m node --ignore=tests/e2e/test_down.py

demo:  ## The whole product on this machine, to a first answer (root; half an hour the first time, then 3 min)
	$(RUN) python -m e2e.demo up

demo-down:  ## Remove everything that demo made but built programs and images
	$(RUN) python -m e2e.demo down

cluster-up:  ## Start an API server, scheduler and controllers, without a node, and leave them running
	$(RUN) python -m e2e.cluster up --control-plane-only

cluster-down:  ## Stop them and remove what they left
	$(RUN) python -m e2e.cluster down

calibrate:  ## Fit the planner's constants to the measured runs
	$(RUN) python -m benchmarks.planner.fit --write

accuracy:  ## Predicted against measured, beside other planners: docs/accuracy.md
	$(RUN) python -m benchmarks.planner.accuracy

claims:  ## Two published claims, judged by the plan: docs/claims.md
	$(RUN) python -m benchmarks.planner.claims

models:  ## What usual models need: docs/models.md
	$(RUN) python -m benchmarks.planner.models_page

plan-speed:  ## Time of a plan and of the command
	$(RUN) python -m benchmarks.planner.speed

control-plane-scale:  ## The operator with 100 and 1,000 objects: latency, writes, memory
	$(RUN) python -m benchmarks.control_plane

replacement:  ## Requests lost while pods are drained and replaced ten times (root)
	$(RUN) python -m benchmarks.replacement

start:  ## Where the seconds of a pod's start go (root)
	$(RUN) python -m benchmarks.start
