# One image for the api, the worker, the gateway, the vault and the migrations. Not built by our tests: no container runtime there.
FROM python:3.11.14-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-client rsync restic \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 dumont \
    && install -d -o dumont -m 700 /var/lib/dumont /var/lib/dumont/artifacts

WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER dumont
