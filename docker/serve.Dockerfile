# The page and the API.
ARG BASE=found-base:0.1.0
# hadolint ignore=DL3006
FROM ${BASE}

ENV FOUND_HOST=0.0.0.0 \
    FOUND_PORT=8080
EXPOSE 8080
USER 10001
CMD ["found", "serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=6 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://localhost:8080/healthz"]
