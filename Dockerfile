# lthbench in a container. CPU:   docker build -t lthbench .
#                          CUDA:  docker build -t lthbench --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
# Runs and packed data lie in /bench:  docker run --rm -v "$PWD":/bench lthbench run smoke
# With GPUs add:  --gpus all
ARG BASE=ubuntu:24.04
FROM ${BASE}

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

ENV VIRTUAL_ENV=/opt/lthbench
ENV PATH="${VIRTUAL_ENV}/bin:${PATH}" \
    LTHBENCH_DATA=/bench/.data
RUN python3 -m venv "${VIRTUAL_ENV}"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY lthbench lthbench
COPY baselines baselines
COPY suites suites
RUN pip install --no-cache-dir '.[board]'

RUN useradd --create-home bench && mkdir /bench && chown bench /bench
USER bench
WORKDIR /bench
ENTRYPOINT ["lthbench"]
CMD ["--help"]
