# Airflow with the project's DAGs; its tasks run in this same environment.
ARG BASE=found-base:0.1.0
# hadolint ignore=DL3006
FROM ${BASE}

USER root
WORKDIR /opt/found
COPY docker/airflow.requirements.txt ./docker/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement docker/airflow.requirements.txt \
    && install --directory --owner found /opt/airflow

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/found/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
EXPOSE 8080
USER 10001
CMD ["airflow", "api-server", "--port", "8080"]
HEALTHCHECK --interval=15s --timeout=10s --start-period=90s --retries=6 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://localhost:8080/api/v2/monitor/health"]
