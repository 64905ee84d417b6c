# windsock: the command line, the mirror and the API. Runs as uid 10001 and writes only to /var/lib/windsock and /tmp.
ARG PYTHON_IMAGE=python:3.13.9-slim

FROM ${PYTHON_IMAGE} AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/windsock UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
# Dependency groups besides the extras: docker-compose.yml builds the examples' image with "--group examples".
ARG UV_GROUPS=""
# The dependencies alone first: this layer is rebuilt only when the lock changes.
COPY pyproject.toml uv.lock README.md LICENSE hatch_build.py ./
RUN uv sync --locked --no-default-groups $UV_GROUPS --no-install-project --extra cli --extra mirror --extra flagd --extra api
COPY sdk ./sdk
COPY migrations ./migrations
COPY flagd/teacher.flagd.json ./flagd/
RUN uv sync --locked --no-default-groups $UV_GROUPS --no-editable --extra cli --extra mirror --extra flagd --extra api

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin windsock \
 && install -d -o windsock -g windsock /var/lib/windsock /var/lib/windsock/mirror
COPY --from=build /opt/windsock /opt/windsock
ENV PATH=/opt/windsock/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER windsock
WORKDIR /var/lib/windsock
ENTRYPOINT ["windsock"]
CMD ["--help"]
