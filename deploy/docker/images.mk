# Images: wheels, builds, bills of material, and the tests that run them. docs/deploy-images.md.

include deploy/docker/base.env
DOCKER ?= docker
COMPOSE ?= $(DOCKER) compose
# cpu, or cuda for slicer and packer that compute on an NVIDIA GPU.
VARIANT ?= cpu
# NVIDIA's image, as the chart pins it.
TRITON_REGISTRY ?= nvcr.io
TRITON_TAG ?= 24.10-py3
IMAGE_PREFIX ?= slice-and-pack
IMAGE_TAG ?= dev$(if $(filter cuda,$(VARIANT)),-cuda)
IMAGES := slicer packer $(if $(filter cpu,$(VARIANT)),reconciler triton-embedded)
REQUIREMENTS := deploy/docker/requirements
# One a variant: of two builds of torch pip would take the wrong one.
WHEELHOUSE := build/wheelhouse/$(VARIANT)
TOOLS := build/tools
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CREATED = $(shell git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)

.PHONY: wheelhouse image-base images image-triton image-lint sbom release-check image-test image-startup

wheelhouse: setup ## Fill build/wheelhouse, so that images are built without a network
	$(BIN)/pip download --quiet --dest $(WHEELHOUSE) --requirement $(REQUIREMENTS)/build.txt
	$(BIN)/pip download --quiet --dest $(WHEELHOUSE) --constraint constraints.txt \
	  --requirement $(REQUIREMENTS)/services.txt --requirement $(REQUIREMENTS)/$(VARIANT).txt
	@test $(VARIANT) = cpu || ! ls $(WHEELHOUSE)/torch-*+cpu-*.whl 2>/dev/null \
	  || { echo "pip found torch's build for processors: point it at an index with the CUDA build (README), and empty $(WHEELHOUSE)" >&2; exit 1; }
	$(BIN)/pip download --quiet --dest $(WHEELHOUSE) --constraint constraints.txt \
	  --requirement $(REQUIREMENTS)/reconciler.txt
	$(BIN)/pip download --quiet --dest $(WHEELHOUSE) --requirement triton-requirements.txt

image-base: ## Make a base of Debian packages where no registry is reached (needs root, mmdebstrap)
	deploy/docker/make-base.sh $(DOCKER) localhost/debian-base:12

images: ## Build all images from build/wheelhouse, without a network
	@test -n "$$(ls -A $(WHEELHOUSE) 2>/dev/null)" \
	  || { echo "$(WHEELHOUSE) is empty: run make wheelhouse first" >&2; exit 1; }
	for image in $(IMAGES); do \
	  DOCKER_BUILDKIT=1 $(DOCKER) build --quiet --network none --file deploy/docker/Dockerfile \
	    --target $$image --tag $(IMAGE_PREFIX)/$$image:$(IMAGE_TAG) \
	    --build-arg BASE=$(BASE) --build-arg BASE_DIGEST=$(addprefix @,$(BASE_DIGEST)) \
	    --build-arg VARIANT=$(VARIANT) --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED) . ; \
	done

$(TOOLS)/.complete: deploy/docker/tools.txt
	rm -rf $(TOOLS)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --requirement $<
	@touch $@

image-triton: ## Build NVIDIA's Triton without the backends that packs do not need
	DOCKER_BUILDKIT=1 $(DOCKER) build --quiet --network none --file deploy/docker/triton.Dockerfile \
	  --tag $(IMAGE_PREFIX)/triton:$(TRITON_TAG) \
	  --build-arg TRITON=$(TRITON_REGISTRY)/nvidia/tritonserver:$(TRITON_TAG) deploy/docker

image-lint: $(TOOLS)/.complete ## Lint the Dockerfile and the scripts of deploy/docker
	$(TOOLS)/bin/hadolint deploy/docker/Dockerfile deploy/docker/triton.Dockerfile
	$(TOOLS)/bin/shellcheck deploy/docker/*.sh

sbom: $(TOOLS)/.complete ## Write a CycloneDX bill of material of each image to build/sbom
	mkdir -p build/sbom
	for image in $(IMAGES); do \
	  $(DOCKER) save --output build/sbom/image.tar $(IMAGE_PREFIX)/$$image:$(IMAGE_TAG); \
	  SYFT_CHECK_FOR_APP_UPDATE=false $(TOOLS)/bin/syft scan --quiet --source-name $$image \
	    --source-version $(VERSION) --output cyclonedx-json=build/sbom/$$image.cdx.json \
	    docker-archive:build/sbom/image.tar; \
	done
	rm build/sbom/image.tar

release-check: ## Refuse to release images whose base is not pinned by digest
	@echo '$(BASE_DIGEST)' | grep -Eq '^sha256:[0-9a-f]{64}$$' \
	  || { echo "BASE_DIGEST of deploy/docker/base.env is no digest: read it from the registry" >&2; exit 1; }

image-test: setup image-lint images $(CHART)/.complete ## Run the images as in production, and the whole walk through them
	DOCKER="$(DOCKER)" COMPOSE="$(COMPOSE)" IMAGE_PREFIX=$(IMAGE_PREFIX) IMAGE_TAG=$(IMAGE_TAG) \
	  OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m container tests/deploy

image-startup: setup images $(CHART)/.complete ## Measure the laptop profile's containers from start to ready
	DOCKER="$(DOCKER)" IMAGE_PREFIX=$(IMAGE_PREFIX) IMAGE_TAG=$(IMAGE_TAG) \
	  $(BIN)/python -m tests.deploy.startup $(STARTUP)
