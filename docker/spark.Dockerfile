# Spark's master, its workers, and spark-submit.
ARG BASE=found-base:0.1.0
# hadolint ignore=DL3006
FROM ${BASE}

ENV SPARK_HOME=/opt/venv/lib/python3.11/site-packages/pyspark \
    SPARK_NO_DAEMONIZE=1
EXPOSE 7077 8080 8081
USER 10001
CMD ["spark-class", "org.apache.spark.deploy.master.Master", "--host", "0.0.0.0", "--port", "7077", "--webui-port", "8080"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=6 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://localhost:8080/"]
