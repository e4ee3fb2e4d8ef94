# One image, one command a service: docker run IMAGE broker | catalog | clearing | connector
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
WORKDIR /src
COPY requirements-build.lock requirements-runtime.lock ./
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes -r requirements-build.lock \
 && python -m venv --without-pip /opt/databank \
 && VIRTUAL_ENV=/opt/databank /build/bin/uv pip sync --require-hashes --compile-bytecode \
    requirements-runtime.lock
COPY . .
RUN /build/bin/hatchling build --target wheel --directory /dist \
 && VIRTUAL_ENV=/opt/databank /build/bin/uv pip install --no-deps --compile-bytecode /dist/*.whl

FROM python:${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="industrial-data-bank" \
      org.opencontainers.image.description="Companies share industrial data on their own terms and are paid for it." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 databank \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin databank \
 && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/databank /opt/databank
ENV PATH=/opt/databank/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATABANK_HEALTH_URL=http://127.0.0.1:8000/readyz
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8100 8200 8300 8400
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["python", "-m", "databank.kit.healthcheck"]
ENTRYPOINT ["databank"]
CMD ["--help"]
