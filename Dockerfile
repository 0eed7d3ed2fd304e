# The fleet's image:            docker build -t limner .
# With the stand-in and Flower: docker build -t limner-local --target local .

# docker buildx imagetools inspect python:3.13.16-slim-trixie shows the digest of today.
ARG PYTHON_IMAGE=python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c

FROM ${PYTHON_IMAGE} AS base
# The root file system may be read-only at run time, so the byte code is compiled while the image is built.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/venv/bin:$PATH
# A new volume at /srv/images takes over this folder's owner.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin limner \
    && install --directory --owner 10001 --group 10001 /srv/images
WORKDIR /app
STOPSIGNAL SIGTERM


FROM base AS packages
RUN python -m venv --without-pip /venv
COPY requirements/fleet.lock requirements/
RUN pip --python /venv/bin/python install --no-cache-dir --require-hashes --only-binary=:all: \
    -r requirements/fleet.lock


FROM base AS local-packages
RUN python -m venv --without-pip /venv
COPY requirements/local.lock requirements/
RUN pip --python /venv/bin/python install --no-cache-dir --require-hashes --only-binary=:all: \
    -r requirements/local.lock


FROM base AS local
COPY --from=local-packages /venv /venv
COPY limner limner
COPY provider provider
COPY config config
COPY worker worker
COPY tasks tasks
COPY sandbox sandbox
RUN python -m compileall -q /app
USER 10001:10001
CMD ["python", "-m", "sandbox", "--help"]


FROM base AS fleet
COPY --from=packages /venv /venv
COPY limner limner
COPY provider provider
COPY config config
COPY worker worker
COPY tasks tasks
RUN python -m compileall -q /app
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["python", "-m", "worker.health"]
CMD ["celery", "-A", "worker", "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
