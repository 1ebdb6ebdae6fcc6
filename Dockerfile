# syntax=docker/dockerfile:1
# A small image that serves stdio: `docker run -i --rm -e KALLYAI_ACCESS_TOKEN kallyai-mcp`; and an organisation, see
# docs/deploy.md.
# Settings come from the environment, see the table in the README.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-image.lock ./
RUN python -m venv /app \
 && /app/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-image.lock
COPY requirements-build.lock pyproject.toml README.md LICENSE ./
COPY kallyai_mcp ./kallyai_mcp
COPY tool_schemas ./tool_schemas
RUN python -m venv /build \
 && /build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock \
 && /build/bin/python -m hatchling build -t wheel -d /dist \
 && /app/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /dist/*.whl \
 && /app/bin/pip uninstall --yes pip \
 && /app/bin/python -m compileall -q /app

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 kallyai
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 KALLYAI_NO_BROWSER=1 KALLYAI_STATE_DIR=/state
# The journal of what was done; keep it with a volume: -v kallyai-state:/state
RUN install -d -m 700 -o 10001 -g 10001 /state
VOLUME /state
USER 10001
WORKDIR /home/kallyai
ENTRYPOINT ["kallyai-mcp"]
