# Runs rs-sr as an unprivileged user. Build it for CPUs with
# `docker build --build-arg TORCH_INDEX=ADDRESS .`, and for CUDA with `docker build .`.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim

# The package index that has the small CPU build of torch. Without it, pip's default build, which on
# Linux is the large one for CUDA.
ARG TORCH_INDEX=
# The extras of rs-superres: "cluster" for `batch` on several cores and for dask's commands, "all" to
# evaluate models too.
ARG EXTRAS=cluster

# GDAL in rasterio's wheel needs libexpat, which the slim image lacks.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch; \
    fi \
    && pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]" \
    && useradd --create-home --uid 1000 superres

USER 1000
# With `docker run --user`, the home of user 1000 cannot be written to.
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["rs-sr"]
CMD ["--help"]
