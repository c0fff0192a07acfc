# The one environment of the lock file. Spark's workers run the model, Airflow's tasks run everything: so every role
# starts from these layers, which a host stores once.
FROM python:3.11.13-slim-bookworm

# Empty: pip's own index (on Linux a CUDA build of torch); else the index of another build.
ARG TORCH_INDEX=""

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl openjdk-17-jre-headless procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home found \
    && install --directory --owner found /opt/found /work

WORKDIR /opt/found
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYSPARK_PYTHON=/opt/venv/bin/python \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE

COPY requirements.lock.txt ./
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0 \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.lock.txt

COPY pyproject.toml README.md ./
COPY feature_repo ./feature_repo
COPY spark_jobs ./spark_jobs
COPY model ./model
COPY serving ./serving
COPY dags ./dags
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

USER 10001
ENTRYPOINT ["tini", "--"]
