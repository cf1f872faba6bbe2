# Runs rs-sr as an unprivileged user. Build it for CPUs with `docker build .`, and for CUDA with
# `docker build --build-arg TORCH=cuda .`.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim

# cpu: the small build of torch, from the package index at TORCH_INDEX. cuda: pip's default build.
ARG TORCH=cpu
ARG TORCH_INDEX=

WORKDIR /src
COPY . .
RUN if [ "$TORCH" = cpu ] && [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch; \
    fi \
    && pip install --no-cache-dir -c constraints.txt . \
    && useradd --create-home --uid 1000 superres

USER 1000
WORKDIR /data
ENTRYPOINT ["rs-sr"]
CMD ["--help"]
