# Both stages of training; one process per GPU: docker run --gpus all found-train:0.1.0 --stage 1
ARG BASE=found-base:0.1.0
# hadolint ignore=DL3006
FROM ${BASE}

USER 10001
ENTRYPOINT ["tini", "--", "torchrun", "--standalone", "--nproc-per-node=gpu", "-m", "model.train"]
CMD ["--help"]
# A job ends by itself: it is healthy while its process lives.
HEALTHCHECK --interval=60s --timeout=5s --start-period=60s --retries=3 \
    CMD ["pgrep", "--full", "model.train"]
