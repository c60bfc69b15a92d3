# docker build -t toplet:v0.1.0 .
# docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7,linux/riscv64 -t toplet:v0.1.0 .
# The build runs on the builder's own architecture and compiles for the image's. Without Docker: .ci/image.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /src
RUN case $TARGETARCH in \
      amd64) echo x86_64-unknown-linux-musl musl-tools ;; \
      arm64) echo aarch64-unknown-linux-gnu gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;; \
      arm) echo armv7-unknown-linux-gnueabihf gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;; \
      riscv64) echo riscv64gc-unknown-linux-gnu gcc-riscv64-linux-gnu libc6-dev-riscv64-cross ;; \
      *) echo "no target for $TARGETARCH" >&2; exit 1 ;; \
    esac > /target && read -r target packages < /target \
    && apt-get update && apt-get install -y --no-install-recommends $packages && rustup target add "$target"
COPY . .
# .cargo/config.toml makes the program static: nothing else goes into the image.
RUN read -r target packages < /target && cargo build --release --locked --target "$target" \
    && mkdir /image && cp "target/$target/release/toplet" /image/toplet && ln -s toplet /image/metrics-server

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="toplet" \
      org.opencontainers.image.description="The Kubernetes Metrics API in one static binary of a few MiB" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
USER 65534:65534
EXPOSE 10250
ENTRYPOINT ["/toplet"]
