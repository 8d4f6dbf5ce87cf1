# The gateway in an image of its own: one static binary, a CA bundle and nothing else, run by a user that owns nothing.
#
#   make image                                       builds caddy-llm:local
#   docker run -p 127.0.0.1:8000:8000 caddy-llm:local   serves Caddyfile: everything embedded, as `make run` does
#
# Needs BuildKit, which is Docker's default since version 23. A config of your own goes to /etc/caddy/Caddyfile, data is in
# the volume /var/lib/caddy.
ARG GO_IMAGE=golang:1.26.8-bookworm

# Compiles on the builder's own architecture for the target's: emulating a compiler takes many times as long.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY caddy caddy
COPY modules modules
ARG TARGETOS TARGETARCH VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
	CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOTOOLCHAIN=local go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$VERSION" -o /out/usr/bin/caddy ./caddy
# The tree of the final image. A volume that is mounted at /var/lib/caddy takes over its owner and mode.
COPY Caddyfile /out/etc/caddy/Caddyfile
RUN install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
	&& install -d -m 0700 -o 65532 -g 65532 /out/var/lib/caddy

FROM scratch
COPY --from=build /out /
ENV PATH=/usr/bin \
	GATEWAY_DATA=/var/lib/caddy \
	XDG_DATA_HOME=/var/lib/caddy \
	XDG_CONFIG_HOME=/var/lib/caddy
# Where `caddy llm keys` and `caddy reload` find the config without being told.
WORKDIR /etc/caddy
USER 65532:65532
VOLUME /var/lib/caddy
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=15s CMD ["caddy", "llm", "health"]
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
