# AmazonSender as a container: docs/deployment.md.
# Both stages start from one image. Pin it to have the very same base every time:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… .
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The dependencies change less often than the program, so they have a layer of their own. Only
# files whose hash is in the lock are installed; nothing is compiled.
COPY requirements-build.lock requirements-docker.lock ./
RUN python -m venv --without-pip /opt/amazonsender \
    && pip install --no-deps --require-hashes -r requirements-build.lock \
    && pip --python /opt/amazonsender/bin/python install \
        --no-deps --require-hashes -r requirements-docker.lock
# The wheel carries the migrations too (pyproject.toml: force-include).
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY app app
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && pip --python /opt/amazonsender/bin/python install --no-deps --no-index dist/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="AmazonSender" \
      org.opencontainers.image.description="Self-hosted mailout executor for Amazon SES" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 amazonsender \
    && useradd --system --uid 10001 --gid amazonsender --no-create-home amazonsender
COPY --from=build /opt/amazonsender /opt/amazonsender
ENV PATH=/opt/amazonsender/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000
# Nothing is written here; it is where files for `subscribers import` and the like are mounted.
WORKDIR /data
# By number, so that an orchestrator can see that it isn't root.
USER 10001:10001
EXPOSE 8000
# As process 1 the program handles SIGTERM, looks after its own processes and reaps others' orphans:
# no init is needed.
STOPSIGNAL SIGTERM
# http.client, unlike urllib, takes no proxy from the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); connection.request('GET', '/health/live'); sys.exit(connection.getresponse().status != 200)"]
CMD ["amazonsender", "serve"]
