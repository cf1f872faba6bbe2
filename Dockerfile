# rs-sr as a user without rights. CPU: `docker build .`; CUDA: `docker build --build-arg TORCH=cuda .`
ARG PYTHON=3.13
FROM python:${PYTHON}-slim

# cpu: torch's small build, from the index that TORCH_INDEX names; cuda: pip's own build.
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
